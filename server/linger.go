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

// unread is the body of a request over HTTP/1, of which something may be left.
type unread struct {
	io.ReadCloser
	done bool // it came to its end, or its time was over
}

// Read notes whether more may come.
func (u *unread) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	u.done = u.done || err != nil
	return n, err
}

// Close leaves it open: Connect closes it early, and the server once more at the end.
func (u *unread) Close() error { return nil }

// linger returns what reads the rest of a request that has been answered. Many clients
// of HTTP/1 send all of a request before they read the answer. If the connection is
// closed meanwhile they learn that it was reset, and not why. HTTP/2 ends a request
// without its connection, and a client that asked whether to go on has not begun.
func linger(w http.ResponseWriter, r *http.Request) func() {
	if r.ProtoMajor != 1 || r.Header.Get("Expect") != "" {
		return func() {}
	}
	body, control := &unread{ReadCloser: r.Body}, http.NewResponseController(w)
	r.Body = body
	// Else net/http reads a little before it writes the answer, and says that it will
	// close the connection.
	_ = control.EnableFullDuplex()
	return func() {
		if !body.done {
			_ = control.SetReadDeadline(time.Now().Add(lingerTime))
			_, _ = io.CopyN(io.Discard, body, lingerBytes)
		}
	}
}
