package main

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// committed is PostgreSQL's message that a COMMIT is done.
var committed = []byte("C\x00\x00\x00\x0bCOMMIT\x00")

// commitToxic loses some of the answers to COMMIT, on the way back from the database:
// with the connection, or silently, with all that follows on it.
type commitToxic struct {
	// Percent of the answers are lost.
	Percent int `json:"percent"`
}

// commitsLost counts the answers that were lost.
var commitsLost atomic.Int64

// commitState is of one connection.
type commitState struct{ silent bool }

// NewState returns what a connection begins with.
func (*commitToxic) NewState() any { return new(commitState) }

// Pipe passes on what comes.
func (t *commitToxic) Pipe(stub *toxics.ToxicStub) {
	state := stub.State.(*commitState)
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if !state.silent && bytes.Contains(c.Data, committed) && rand.IntN(100) < t.Percent {
				commitsLost.Add(1)
				if rand.IntN(2) == 0 {
					stub.Close()
					return
				}
				state.silent = true
			}
			if !state.silent {
				stub.Output <- c
			}
		}
	}
}

// losesCommits is the toxic's name.
const losesCommits = "lose_commits"

// registerToxics makes it known. Some of toxiproxy's own say what they do on a logger
// that can only be turned off for all.
var registerToxics = sync.OnceFunc(func() {
	toxics.Register(losesCommits, new(commitToxic))
	zerolog.SetGlobalLevel(zerolog.Disabled)
})
