package terminal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A journal that was damaged is read as far as it is whole, and what is kept of it
// reads the same again.
func FuzzJournal(f *testing.F) {
	whole := appendRecord(nil, record{kind: kindEpoch, number: 7})
	whole = appendRecord(whole, record{kind: kindBegin, number: 3, data: []byte("event")})
	whole = appendRecord(whole, record{kind: kindRequest, data: request{key: "k", kind: 1, message: []byte("m")}.encode()})
	whole = appendRecord(whole, record{kind: kindAnswered, data: []byte("k")})
	f.Add(whole, []byte("event"))
	f.Add(whole[:len(whole)-1], []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add(bytes.Repeat([]byte{0}, 64), []byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, []byte{2, 5})
	f.Fuzz(func(t *testing.T, content, data []byte) {
		// And records whose checksum is right, whatever they hold.
		for kind := range byte(9) {
			content = appendRecord(content, record{kind: kind, number: uint64(len(data)), data: data})
		}
		j := MemoryJournal()
		if n := j.replay(content); n > len(content) {
			t.Fatalf("%d bytes of %d were read", n, len(content))
		}
		kept := j.counts()
		again := MemoryJournal()
		if n := again.replay(kept); n != len(kept) {
			t.Fatalf("%x is kept as %x, of which %d bytes are read", content, kept, n)
		}
		if !bytes.Equal(again.counts(), kept) {
			t.Fatalf("%x is kept as %x and then as %x", content, kept, again.counts())
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	f.Add([]byte(`{"seed":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","terminal":"trm_1"}`))
	f.Add([]byte(`{"seed":"AAAA"}`))
	f.Add([]byte(`{"seed":null}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		k := FileKeys(path)
		if _, err := k.Public(); err != nil {
			return
		}
		if _, err := k.Sign([]byte("x")); err != nil {
			t.Fatal(err)
		}
	})
}
