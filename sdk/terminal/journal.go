package terminal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// compactFrom is the size in bytes at which a journal is written anew with only what
// still counts.
const compactFrom = 256 << 10

// Journal remembers what a device must not forget when it loses power: the events
// that it took, the session that it had, and the requests that are under way. Every
// note is on the disk before it counts. If the device becomes another terminal, the
// events and the session of the one before are forgotten.
//
// It is a file of records that are only ever appended, each with a checksum. A record
// that was being written when the power went is left out when the file is opened.
type Journal struct {
	mu   sync.Mutex
	path string
	file *os.File // nil in memory
	size int64
	err  error // why nothing can be written any more
	state
}

// state is what the records of a journal add up to.
type state struct {
	// terminal is the id of the one that epoch and events are of; empty if not noted.
	terminal string
	// epoch is that of the last session.
	epoch uint64
	// last is the sequence of the last event that was begun.
	last uint64
	// doubt is the sequence up to which events may have been told before, greater than
	// last; 0 if there are none.
	doubt uint64
	// open is the event that was begun and not ended; nil if there is none.
	open []byte
	// requests are those without an answer, oldest first.
	requests []request
}

// request is one that moves something, as it was sent.
type request struct {
	key     string
	kind    byte
	message []byte
}

// OpenJournal opens a journal, or makes one. Only one process may use it.
func OpenJournal(path string) (*Journal, error) {
	j := &Journal{path: path}
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	whole := j.replay(content)
	if j.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	j.size = int64(whole)
	if err := errors.Join(j.file.Truncate(j.size), j.file.Sync(), syncFolder(filepath.Dir(path))); err != nil {
		return nil, errors.Join(fmt.Errorf("open the journal: %w", err), j.file.Close())
	}
	return j, nil
}

// MemoryJournal returns a journal that is forgotten with the process: for simulations.
func MemoryJournal() *Journal { return &Journal{} }

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	j.err = os.ErrClosed
	return j.file.Close()
}

// replay applies all records that are whole, and returns where they end.
func (j *Journal) replay(content []byte) int {
	whole := 0
	for {
		r, n := readRecord(content[whole:])
		if n == 0 {
			return whole
		}
		j.apply(r)
		whole += n
	}
}

// note writes a record and applies it once it is on the disk.
func (j *Journal) note(r record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return fmt.Errorf("write the journal: %w", j.err)
	}
	if recordFixed+len(r.data) > maxRecord {
		return errRecord // it couldn't be read again, nor what is noted behind it
	}
	if j.file != nil {
		if err := j.append(appendRecord(nil, r)); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
	}
	j.apply(r)
	// What still counts may be nearly all of it; then writing it anew gains nothing.
	if j.file != nil && j.size > compactFrom && 2*int64(len(j.counts())) <= j.size {
		if err := j.compact(); err != nil {
			return fmt.Errorf("compact the journal: %w", err)
		}
	}
	return nil
}

var errRecord = fmt.Errorf("write the journal: a message is larger than %d bytes", maxRecord-recordFixed)

// append writes at the end. What a failed write left there is cut off, since nothing
// behind it could be read.
func (j *Journal) append(data []byte) error {
	_, err := j.file.WriteAt(data, j.size)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		if cutErr := j.file.Truncate(j.size); cutErr != nil {
			j.err = cutErr
		}
		return err
	}
	j.size += int64(len(data))
	return nil
}

// counts are the records of what still counts.
func (j *Journal) counts() (b []byte) {
	if j.terminal != "" {
		b = appendRecord(b, record{kind: kindTerminal, data: []byte(j.terminal)})
	}
	b = appendRecord(b, record{kind: kindEpoch, number: j.epoch})
	if j.doubt > 0 {
		b = appendRecord(b, record{kind: kindEnd, number: j.doubt})
		b = appendRecord(b, record{kind: kindBack, number: j.last})
	} else {
		b = appendRecord(b, record{kind: kindEnd, number: j.last})
	}
	if j.open != nil {
		b = appendRecord(b, record{kind: kindBegin, number: j.last, data: j.open})
	}
	for _, r := range j.requests {
		b = appendRecord(b, record{kind: kindRequest, data: r.encode()})
	}
	return b
}

// compact replaces the file by one with only what still counts. Whenever the power
// goes, one of the two is there.
func (j *Journal) compact() error {
	b := j.counts()
	if err := replaceFile(j.path, b); err != nil {
		return err
	}
	file, err := os.OpenFile(j.path, os.O_RDWR, 0o600)
	if err != nil {
		j.err = err
		return err
	}
	_ = j.file.Close() // it has no name any more
	j.file, j.size = file, int64(len(b))
	return nil
}

func (j *Journal) apply(r record) {
	switch r.kind {
	case kindEpoch:
		j.epoch = r.number
	case kindBegin:
		j.last, j.open = r.number, append([]byte{}, r.data...)
	case kindEnd:
		j.last, j.open = max(j.last, r.number), nil
	case kindBack:
		j.doubt, j.last = max(j.doubt, j.last), min(j.last, r.number)
	case kindTerminal:
		if id := string(r.data); j.terminal != id {
			if j.terminal != "" {
				j.epoch, j.last, j.doubt, j.open = 0, 0, 0, nil
			}
			j.terminal = id
		}
	case kindRequest:
		if q, ok := decodeRequest(r.data); ok {
			j.requests = append(j.without(q.key), q)
		}
	case kindAnswered:
		j.requests = j.without(string(r.data))
	}
	if j.doubt <= j.last {
		j.doubt = 0
	}
}

func (j *Journal) without(key string) []request {
	return slices.DeleteFunc(j.requests, func(r request) bool { return r.key == key })
}

// now returns what the journal says now.
func (j *Journal) now() state {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.state
	s.open, s.requests = bytes.Clone(s.open), slices.Clone(s.requests)
	return s
}

func (r request) encode() []byte {
	b := append([]byte{r.kind}, binary.AppendUvarint(nil, uint64(len(r.key)))...)
	return append(append(b, r.key...), r.message...)
}

func decodeRequest(data []byte) (request, bool) {
	if len(data) < 2 {
		return request{}, false
	}
	length, n := binary.Uvarint(data[1:])
	if n <= 0 || uint64(len(data)-1-n) < length {
		return request{}, false
	}
	rest := data[1+n:]
	return request{kind: data[0], key: string(rest[:length]), message: rest[length:]}, true
}
