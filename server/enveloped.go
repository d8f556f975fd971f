package server

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"
)

// prefixBytes is what comes before each message of a stream, and of gRPC's calls: how
// it is compressed, and how long it is.
const prefixBytes = 5

// isEnveloped says whether messages of this kind have their length before them.
func isEnveloped(contentType string) bool {
	contentType = strings.ToLower(contentType) // as Connect reads it
	return strings.HasPrefix(contentType, "application/grpc") || strings.HasPrefix(contentType, "application/connect+")
}

// enveloped is a body of such messages. It ends where one says that it is larger than
// the server reads: Connect would read all of that, up to 4 GiB, and throw it away.
type enveloped struct {
	io.ReadCloser
	most int64 // bytes that a message may have

	prefix [prefixBytes]byte
	have   int   // bytes of the prefix
	left   int64 // bytes of the message that are to come
	over   bool
}

// Read passes on what is read.
func (e *enveloped) Read(p []byte) (int, error) {
	if e.over {
		return 0, &http.MaxBytesError{Limit: e.most}
	}
	n, err := e.ReadCloser.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if skip := min(e.left, int64(len(rest))); skip > 0 {
			e.left -= skip
			rest = rest[skip:]
			continue
		}
		more := copy(e.prefix[e.have:], rest)
		rest = rest[more:]
		if e.have += more; e.have < prefixBytes {
			continue
		}
		e.have, e.left = 0, int64(binary.BigEndian.Uint32(e.prefix[1:]))
		if e.left > e.most {
			e.over = true
			return n - len(rest), nil
		}
	}
	return n, err
}
