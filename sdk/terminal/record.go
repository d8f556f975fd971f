package terminal

import (
	"encoding/binary"
	"hash/crc32"
)

// The kinds of records. They are stored.
const (
	kindEpoch    = 1 // number: the epoch of a session
	kindBegin    = 2 // number: a sequence; data: the event, whose handler is called now
	kindEnd      = 3 // number: the sequence of the event whose handler has returned
	kindRequest  = 4 // data: a request that is about to be sent
	kindAnswered = 5 // data: the key of a request that has its answer
	kindBack     = 6 // number: the sequence after which the server goes on, which has none of those beyond
	kindTerminal = 7 // data: the id of the terminal that all of this is about
)

// record is one note: a kind, a number and data.
type record struct {
	kind   byte
	number uint64
	data   []byte
}

const (
	// recordHead is the length of the rest and its checksum, four bytes each.
	recordHead = 8
	// recordFixed is the kind and the number.
	recordFixed = 9
	// maxRecord bounds what is believed to be a record.
	maxRecord = 4 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends a record as it stands in the file. Its checksum covers the
// length too, so that a file of zeros holds no record.
func appendRecord(b []byte, r record) []byte {
	length := uint32(recordFixed + len(r.data))
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, length)
	b = append(b, 0, 0, 0, 0)
	b = append(b, r.kind)
	b = binary.BigEndian.AppendUint64(b, r.number)
	b = append(b, r.data...)
	binary.BigEndian.PutUint32(b[start+4:], checksum(b[start:]))
	return b
}

func checksum(b []byte) uint32 {
	sum := crc32.Checksum(b[:4], castagnoli)
	return crc32.Update(sum, castagnoli, b[recordHead:])
}

// readRecord reads the record at the start of b, and says how long it is; 0 if there
// is none that is whole.
func readRecord(b []byte) (record, int) {
	if len(b) < recordHead+recordFixed {
		return record{}, 0
	}
	length := binary.BigEndian.Uint32(b)
	if length < recordFixed || length > maxRecord || uint64(len(b)) < recordHead+uint64(length) {
		return record{}, 0
	}
	n := recordHead + int(length)
	if binary.BigEndian.Uint32(b[4:]) != checksum(b[:n]) {
		return record{}, 0
	}
	return record{
		kind: b[recordHead], number: binary.BigEndian.Uint64(b[recordHead+1:]), data: b[recordHead+recordFixed : n : n],
	}, n
}
