package terminal

import (
	"context"
	"testing"
	"time"
)

// What is noted while a replica that stops writes for what it takes to be the last
// time is written all the same.
func TestWhatComesDuringTheLastWriteIsWrittenToo(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	woken := make(chan struct{}, 1)
	woken <- struct{}{}
	noted, written := 1, 0
	repeat(ctx, woken, time.Hour, func() {
		written = noted
		if noted == 1 {
			stop()
			noted++
		}
	})
	if written != noted {
		t.Errorf("%d of %d notes were written", written, noted)
	}
}
