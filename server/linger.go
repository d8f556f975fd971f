package server

import (
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
)

const (
	// lingerBytes is how much more is read of a request that is answered before it has
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

// lingering is the answer to a request over HTTP/1, before which the rest of the request
// is read. Many clients send all of a request before they read the answer. If the
// connection is closed meanwhile they learn that it was reset, and not why.
//
// What doesn't come in time must not be taken for another request: net/http looks for
// that when the answer begins, and then closes the connection.
type lingering struct {
	http.ResponseWriter
	body  *unread
	began bool // the answer
}

// linger returns what the answer to a request is written to. HTTP/2 ends a request
// without its connection, a client that asked whether to go on has not begun, and one
// that wants to talk both ways at once sends until it is answered.
func linger(w http.ResponseWriter, r *http.Request, kind connect.StreamType) http.ResponseWriter {
	if r.ProtoMajor != 1 || r.Header.Get("Expect") != "" || kind == connect.StreamTypeBidi {
		return w
	}
	body := &unread{ReadCloser: r.Body}
	r.Body = body
	return &lingering{ResponseWriter: w, body: body}
}

// begin reads the rest of the request, once.
func (l *lingering) begin() {
	if l.began || l.body.done {
		return
	}
	l.began = true
	_ = http.NewResponseController(l.ResponseWriter).SetReadDeadline(time.Now().Add(lingerTime)) // which its end lifts
	_, _ = io.CopyN(io.Discard, l.body, lingerBytes)
}

// WriteHeader begins the answer.
func (l *lingering) WriteHeader(status int) {
	l.begin()
	l.ResponseWriter.WriteHeader(status)
}

// Write goes on with the answer, or begins it.
func (l *lingering) Write(p []byte) (int, error) {
	l.begin()
	return l.ResponseWriter.Write(p)
}

// Flush sends what was written of the answer.
func (l *lingering) Flush() {
	l.begin()
	_ = http.NewResponseController(l.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (l *lingering) Unwrap() http.ResponseWriter { return l.ResponseWriter }
