package terminal

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// deeds are the notes of a device's day, one of each kind and more.
var deeds = []record{
	{kind: kindTerminal, data: []byte("trm_1")},
	{kind: kindEpoch, number: 7},
	{kind: kindBegin, number: 70001, data: []byte("an event")},
	{kind: kindEnd, number: 70001},
	{kind: kindRequest, data: request{"key-1", requestCreate, []byte("a sale")}.encode()},
	{kind: kindRequest, data: request{"key-2", requestCharge, []byte("a charge")}.encode()},
	{kind: kindBegin, number: 70002, data: []byte("another event")},
	{kind: kindAnswered, data: []byte("key-1")},
	{kind: kindEnd, number: 70002},
	{kind: kindEpoch, number: 8},
	{kind: kindBack, number: 60001},
	{kind: kindBegin, number: 70001, data: nil},
}

func mustOpen(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// Whatever the byte at which the power went, the journal says what it said after the
// last note that was whole, and goes on from there.
func TestAJournalThatIsCutAnywhereSaysWhatItSaidBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := mustOpen(t, path)
	said := map[int64]state{0: j.now()} // by size
	for _, d := range deeds {
		if err := j.note(d); err != nil {
			t.Fatal(err)
		}
		said[j.size] = j.now()
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, rest := range [][]byte{nil, make([]byte, 64), []byte("\xff rubbish that was on the disk before, and more of it")} {
		want := said[0]
		for cut := range len(content) + 1 {
			if s, ok := said[int64(cut)]; ok {
				want = s
			}
			torn := filepath.Join(t.TempDir(), "torn")
			if err := os.WriteFile(torn, append(content[:cut:cut], rest...), 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := OpenJournal(torn)
			if err != nil {
				t.Fatal(err)
			}
			if got := again.now(); !same(got, want) {
				t.Fatalf("cut at %d: %+v, want %+v", cut, got, want)
			}
			if err := again.note(record{kind: kindEpoch, number: 99}); err != nil {
				t.Fatal(err)
			}
			_ = again.Close()
			after := mustOpen(t, torn)
			want := want
			want.epoch = 99
			if got := after.now(); !same(got, want) {
				t.Fatalf("cut at %d and gone on: %+v, want %+v", cut, got, want)
			}
			_ = after.Close()
		}
	}
}

func same(a, b state) bool {
	return a.terminal == b.terminal && a.epoch == b.epoch && a.last == b.last && a.doubt == b.doubt && (a.open == nil) == (b.open == nil) && string(a.open) == string(b.open) &&
		len(a.requests) == len(b.requests) && (len(a.requests) == 0 || reflect.DeepEqual(a.requests, b.requests))
}

func TestWhatIsTooLargeForAJournalIsRefusedAndHidesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := mustOpen(t, path)
	large := record{kind: kindBegin, number: 1, data: make([]byte, maxRecord)}
	if err := j.note(large); err == nil {
		t.Error("it was taken")
	}
	large.data = large.data[recordFixed:]
	for _, r := range []record{large, {kind: kindEpoch, number: 7}} {
		if err := j.note(r); err != nil {
			t.Fatal(err)
		}
	}
	if again := mustOpen(t, path).now(); again.epoch != 7 || len(again.open) != len(large.data) {
		t.Errorf("it says epoch %d and %d bytes", again.epoch, len(again.open))
	}
}

func TestAFlippedBitEndsAJournalThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := mustOpen(t, path)
	for _, d := range deeds[:3] {
		if err := j.note(d); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := appendRecord(nil, deeds[0])
	for i := len(first); i < len(content); i++ {
		damaged := append([]byte(nil), content...)
		damaged[i] ^= 0x10
		if r, n := readRecord(damaged[len(first):]); n != 0 && i < len(first)+len(appendRecord(nil, deeds[1])) {
			t.Fatalf("with byte %d damaged, a record was read: %+v", i, r)
		}
	}
}

func TestALongJournalIsCompactedAndKeepsWhatCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := mustOpen(t, path)
	for _, d := range deeds {
		if err := j.note(d); err != nil {
			t.Fatal(err)
		}
	}
	want := j.now()
	if err := j.compact(); err != nil {
		t.Fatal(err)
	}
	if got := j.now(); !same(got, want) {
		t.Errorf("after: %+v, want %+v", got, want)
	}
	if got := mustOpen(t, path).now(); !same(got, want) {
		t.Errorf("read again: %+v, want %+v", got, want)
	}
	big := make([]byte, compactFrom)
	if err := j.note(record{kind: kindBegin, number: 90001, data: big}); err != nil {
		t.Fatal(err)
	}
	if err := j.note(record{kind: kindEnd, number: 90001}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 1000 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want a small file", info, err)
	}
	if got := mustOpen(t, path).now(); got.last != 90001 || got.open != nil || len(got.requests) != 1 {
		t.Errorf("read again: %+v", got)
	}
}

func TestAKeyFileIsItsOwnersAloneAndStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := FileKeys(path).Public()
	if err != nil {
		t.Fatal(err)
	}
	again := FileKeys(path)
	if err := again.Bind("trm_1"); err != nil {
		t.Fatal(err)
	}
	public, err := FileKeys(path).Public()
	if err != nil || !public.Equal(first) {
		t.Errorf("another key: %v", err)
	}
	if got, err := FileKeys(path).Terminal(); err != nil || got != "trm_1" {
		t.Errorf("got %q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte(`{"seed":"AAAA"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FileKeys(path).Public(); err == nil {
		t.Error("a damaged key was read, or replaced")
	}
}

// A device that was offline for long has many requests without an answer: noting one
// more must not write all of them again.
func TestAJournalFullOfWhatCountsIsNotWrittenAnewWithEachNote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	anew := 0
	var before os.FileInfo
	for i := range 600 {
		r := request{key: fmt.Sprint(i), kind: requestCreate, message: make([]byte, 1<<10)}
		if err := j.note(record{kind: kindRequest, data: r.encode()}); err != nil {
			t.Fatal(err)
		}
		now, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !os.SameFile(before, now) {
			anew++
		}
		before = now
	}
	if anew > 0 {
		t.Errorf("600 KB that all count were written anew %d times", anew)
	}
	if n := len(j.now().requests); n != 600 {
		t.Errorf("%d requests are left", n)
	}
}
