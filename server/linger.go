package server

import (
	"io"
	"net/http"
	"time"
)

const (
	// lingerBytes is how much more is read of a request that was answered before it had
	// arrived: as much as Connect reads of a message that it refuses.
	lingerBytes = 4 << 20
	// lingerTime is how long its rest may take.
	lingerTime = 5 * time.Second
)

// lingering returns what reads the rest of a request that has been answered. Many clients
// of HTTP/1 send all of a request before they read the answer. If the connection is
// closed meanwhile they learn that it was reset, and not why. HTTP/2 ends a request
// without its connection, and a client that asked whether to go on has not begun.
func lingering(w http.ResponseWriter, r *http.Request) func() {
	if r.ProtoMajor != 1 || r.Header.Get("Expect") != "" {
		return func() {}
	}
	body, control := r.Body, http.NewResponseController(w)
	r.Body = io.NopCloser(body) // Connect closes it; the server does that at the end, too
	// Else net/http reads a little before it writes the answer, and says that it will
	// close the connection.
	_ = control.EnableFullDuplex()
	return func() {
		_ = control.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, body, lingerBytes)
	}
}
