package hostile

import (
	"bytes"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// corrupt is one way of making the bytes of a message wrong. It may change those that
// it gets.
type corrupt func(m *mutator, d protoreflect.MessageDescriptor, body []byte) []byte

// corruptions are all ways, by what they are called, but for sending a procedure what
// another takes.
var corruptions = map[string]corrupt{
	"flipped bits":      flipBits,
	"truncation":        truncate,
	"lengths that lie":  lieAboutLength,
	"doubled fields":    doubleField,
	"unknown fields":    addUnknown,
	"nesting":           nest,
	"huge numbers":      addVarint,
	"text not in UTF-8": spoilText,
	"noise":             addNoise,
}

// piece is a field in the bytes of a message: its tag, and its value with, of text
// and messages, the length before it.
type piece struct {
	number     protowire.Number
	kind       protowire.Type
	start, end int // of all of it
	value      int // where its value, or its length, begins
}

// pieces takes a message apart as far as it can be read.
func pieces(body []byte) (all []piece) {
	for at := 0; at < len(body); {
		number, kind, n := protowire.ConsumeTag(body[at:])
		if n < 0 {
			return all
		}
		size := protowire.ConsumeFieldValue(number, kind, body[at+n:])
		if size < 0 {
			return all
		}
		all = append(all, piece{number, kind, at, at + n + size, at + n})
		at += n + size
	}
	return all
}

// pieceOf picks a field, one with a length if lengthy is set; ok is false if there
// is none.
func (m *mutator) pieceOf(body []byte, lengthy bool) (p piece, ok bool) {
	all := pieces(body)
	if lengthy {
		with := all[:0]
		for _, p := range all {
			if p.kind == protowire.BytesType {
				with = append(with, p)
			}
		}
		all = with
	}
	if len(all) == 0 {
		return p, false
	}
	return pick(m, all), true
}

// anyNumber is the number of a field, one of the message's or any.
func (m *mutator) anyNumber(d protoreflect.MessageDescriptor) protowire.Number {
	if fields := d.Fields(); fields.Len() > 0 && m.rand.IntN(3) != 0 {
		return fields.Get(m.rand.IntN(fields.Len())).Number()
	}
	return pick(m, []protowire.Number{1, 15, 16, 99, 18_999, 19_000, 20_000, 1<<29 - 1})
}

func flipBits(m *mutator, _ protoreflect.MessageDescriptor, body []byte) []byte {
	for range 1 + m.rand.IntN(8) {
		if len(body) > 0 {
			body[m.rand.IntN(len(body))] ^= 1 << m.rand.IntN(8)
		}
	}
	return body
}

func truncate(m *mutator, _ protoreflect.MessageDescriptor, body []byte) []byte {
	return body[:m.rand.IntN(len(body)+1)]
}

// lengths are what a text or message may say that it is long.
var lengths = []uint64{0, 1, 127, 128, 16_384, 1<<20 + 1, math.MaxInt32, math.MaxInt32 + 1, math.MaxUint32, math.MaxInt64, math.MaxUint64}

func lieAboutLength(m *mutator, d protoreflect.MessageDescriptor, body []byte) []byte {
	p, ok := m.pieceOf(body, true)
	if !ok {
		return append(protowire.AppendVarint(protowire.AppendTag(body, m.anyNumber(d), protowire.BytesType), pick(m, lengths)), "abc"...)
	}
	said, n := protowire.ConsumeVarint(body[p.value:])
	lie := pick(m, lengths)
	if m.rand.IntN(2) == 0 {
		lie = said + uint64(m.rand.IntN(9)) - 4
	}
	out := protowire.AppendVarint(bytes.Clone(body[:p.value]), lie)
	return append(out, body[p.value+n:]...)
}

func doubleField(m *mutator, _ protoreflect.MessageDescriptor, body []byte) []byte {
	p, ok := m.pieceOf(body, false)
	if !ok {
		return body
	}
	return append(body, bytes.Repeat(bytes.Clone(body[p.start:p.end]), pick(m, []int{1, 2, 50, 1500}))...)
}

func addUnknown(m *mutator, d protoreflect.MessageDescriptor, body []byte) []byte {
	for range 1 + m.rand.IntN(3) {
		// Kinds 6 and 7 don't exist, nor does field 0.
		kind := protowire.Type(m.rand.IntN(8))
		number := m.anyNumber(d)
		body = protowire.AppendVarint(body, uint64(number)<<3|uint64(kind))
		body = append(body, noise(m, m.rand.IntN(12))...)
	}
	if m.rand.IntN(16) == 0 {
		body = append(body, byte(m.rand.IntN(8)))
	}
	return body
}

// nest puts a message into itself, or opens groups that it closes or doesn't.
func nest(m *mutator, d protoreflect.MessageDescriptor, body []byte) []byte {
	number, levels := m.anyNumber(d), pick(m, []int{1, 2, 99, 101, 2000})
	if m.rand.IntN(2) == 0 {
		open := bytes.Repeat(protowire.AppendTag(nil, number, protowire.StartGroupType), levels)
		shut := bytes.Repeat(protowire.AppendTag(nil, number, protowire.EndGroupType), m.rand.IntN(levels+1))
		return append(body, append(open, shut...)...)
	}
	for range min(levels, 200) {
		body = protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), body)
	}
	return body
}

func addVarint(m *mutator, d protoreflect.MessageDescriptor, body []byte) []byte {
	body = protowire.AppendTag(body, m.anyNumber(d), protowire.VarintType)
	switch m.rand.IntN(3) {
	case 0: // longer than any number
		return append(body, append(bytes.Repeat([]byte{0xff}, 9+m.rand.IntN(8)), 1)...)
	case 1: // long for what it is
		return append(body, append(bytes.Repeat([]byte{0x80}, m.rand.IntN(10)), byte(m.rand.IntN(3)))...)
	default:
		return protowire.AppendVarint(body, uint64(pick(m, strangeNumbers)))
	}
}

var notUTF8 = []string{"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "a\x80", "\xe2\x82"}

func spoilText(m *mutator, d protoreflect.MessageDescriptor, body []byte) []byte {
	text := []byte(pick(m, notUTF8))
	p, ok := m.pieceOf(body, true)
	if !ok {
		return protowire.AppendBytes(protowire.AppendTag(body, m.anyNumber(d), protowire.BytesType), text)
	}
	out := protowire.AppendBytes(bytes.Clone(body[:p.value]), text)
	return append(out, body[p.end:]...)
}

func addNoise(m *mutator, _ protoreflect.MessageDescriptor, body []byte) []byte {
	at := m.rand.IntN(len(body) + 1)
	out := append(bytes.Clone(body[:at]), noise(m, 1+m.rand.IntN(40))...)
	return append(out, body[min(len(body), at+m.rand.IntN(8)):]...)
}

func noise(m *mutator, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(m.rand.Uint32())
	}
	return out
}
