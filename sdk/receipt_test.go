package tillbook_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/proto"

	sealv1 "github.com/tillbook/tillbook/gen/tillbook/seal/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// logbook is a log in memory, made by package tlog.
type logbook struct {
	t      testing.TB
	signer note.Signer
	key    string
	hashes []tlog.Hash
	leaves [][]byte
}

func newLogbook(t testing.TB, name string) *logbook {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return &logbook{t: t, signer: signer, key: public}
}

func (l *logbook) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			list[i] = l.hashes[index]
		}
		return list, nil
	})
}

func (l *logbook) add(leaf []byte) {
	l.t.Helper()
	hashes, err := tlog.StoredHashes(int64(len(l.leaves)), leaf, l.reader())
	if err != nil {
		l.t.Fatal(err)
	}
	l.hashes, l.leaves = append(l.hashes, hashes...), append(l.leaves, leaf)
}

func (l *logbook) checkpoint() string {
	l.t.Helper()
	root, err := tlog.TreeHash(int64(len(l.leaves)), l.reader())
	if err != nil {
		l.t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", l.signer.Name(), len(l.leaves), base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(signed)
}

func (l *logbook) receipt(index int, opening *sealv1.Opening) *tillbook.Receipt {
	l.t.Helper()
	proof, err := tlog.ProveRecord(int64(len(l.leaves)), int64(index), l.reader())
	if err != nil {
		l.t.Fatal(err)
	}
	r := &tillbook.Receipt{Leaf: l.leaves[index], LeafIndex: int64(index), Checkpoint: l.checkpoint(), Opening: opening}
	for i := range proof {
		r.Proof = append(r.GetProof(), proof[i][:])
	}
	return r
}

// lunch is what a leaf with a text commits to.
func lunch() *sealv1.Opening {
	return &sealv1.Opening{Salt: make([]byte, 16), Fingerprint: make([]byte, 32), Note: "lunch", Details: `{"table":4}`}
}

func leafOf(n int, opening *sealv1.Opening) []byte {
	last := fmt.Sprintf("request %064x", n)
	if opening != nil {
		b := append([]byte("tillbook/text/v1\n"), opening.GetSalt()...)
		b = append(b, opening.GetFingerprint()...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(opening.GetNote())))
		b = append(append(b, opening.GetNote()...), opening.GetDetails()...)
		last = fmt.Sprintf("text %x", sha256.Sum256(b))
	}
	return fmt.Appendf(nil, `tillbook/transaction/v1
id txn_%026d
time 2026-11-26T10:00:00.123456Z
kind transfer
key %032x
entry user/usr_1/main/USD USD -%d
entry user/usr_2/main/USD USD %d
%s
`, n, n, n, n, last)
}

// sealed is a log of 20 transactions, of which number 7 has a text.
func sealed(t testing.TB) *logbook {
	t.Helper()
	l := newLogbook(t, "test.example/books")
	for n := range 20 {
		var o *sealv1.Opening
		if n == 7 {
			o = lunch()
		}
		l.add(leafOf(n, o))
	}
	return l
}

func TestAReceiptSaysWhatItProvesAndNoMore(t *testing.T) {
	l := sealed(t)
	v, err := tillbook.VerifyReceipt(l.receipt(7, lunch()), l.key)
	if err != nil {
		t.Fatal(err)
	}
	if !v.HasText || !v.Shown || v.Note != "lunch" || v.Details != `{"table":4}` || v.LeafIndex != 7 || v.Size != 20 ||
		v.Kind != "transfer" || len(v.Entries) != 2 || v.Entries[0].Amount != "-7" {
		t.Errorf("got %+v", v)
	}
	v, err = tillbook.VerifyReceipt(l.receipt(7, nil), l.key)
	if err != nil || !v.HasText || v.Shown || v.Note != "" {
		t.Errorf("with the text erased: %+v, %v", v, err)
	}
	if v, err = tillbook.VerifyReceipt(l.receipt(3, nil), l.key); err != nil || v.HasText {
		t.Errorf("without a text: %+v, %v", v, err)
	}
}

func TestAForgedReceiptIsRefused(t *testing.T) {
	l := sealed(t)
	older := sealed(t)
	longer := sealed(t)
	longer.signer, longer.key = l.signer, l.key
	longer.add(leafOf(20, nil))
	other := newLogbook(t, "test.example/books")
	for name, forge := range map[string]func(r *tillbook.Receipt){
		"another amount":            func(r *tillbook.Receipt) { r.Leaf[len(r.GetLeaf())-75]++ },
		"another transaction":       func(r *tillbook.Receipt) { r.Leaf = leafOf(8, nil) },
		"another place":             func(r *tillbook.Receipt) { r.LeafIndex++ },
		"a place before the log":    func(r *tillbook.Receipt) { r.LeafIndex = -1 },
		"a place behind the log":    func(r *tillbook.Receipt) { r.LeafIndex = 20 },
		"another hash in the proof": func(r *tillbook.Receipt) { r.Proof[1][0]++ },
		"a short hash":              func(r *tillbook.Receipt) { r.Proof[1] = r.GetProof()[1][:31] },
		"a proof cut short":         func(r *tillbook.Receipt) { r.Proof = r.GetProof()[1:] },
		"a proof that goes on":      func(r *tillbook.Receipt) { r.Proof = append(r.GetProof(), r.GetProof()[0]) },
		"no checkpoint":             func(r *tillbook.Receipt) { r.Checkpoint = "" },
		"a checkpoint of another key": func(r *tillbook.Receipt) {
			r.Checkpoint = older.checkpoint()
		},
		"a checkpoint of another size": func(r *tillbook.Receipt) { r.Checkpoint = longer.checkpoint() },
		"another note":                 func(r *tillbook.Receipt) { r.Opening.Note = "dinner" },
		"other details":                func(r *tillbook.Receipt) { r.Opening.Details = `{"table":5}` },
		"a note that takes details in": func(r *tillbook.Receipt) { r.Opening.Note += r.Opening.GetDetails(); r.Opening.Details = "" },
		"no salt":                      func(r *tillbook.Receipt) { r.Opening.Salt = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := proto.CloneOf(l.receipt(7, lunch()))
			forge(r)
			if v, err := tillbook.VerifyReceipt(r, l.key); !errors.Is(err, tillbook.ErrNotProven) {
				t.Errorf("got %+v, %v", v, err)
			}
		})
	}
	if _, err := tillbook.VerifyReceipt(l.receipt(7, nil), other.key); !errors.Is(err, tillbook.ErrNotProven) {
		t.Errorf("under another key: %v", err)
	}
}

// What was sealed without a text can't be shown with one.
func TestAnOpeningOfNothingIsRefused(t *testing.T) {
	l := sealed(t)
	for _, o := range []*sealv1.Opening{{}, {Note: "forged"}, {Salt: make([]byte, 3), Note: "forged"}, lunch()} {
		if v, err := tillbook.VerifyReceipt(l.receipt(3, o), l.key); !errors.Is(err, tillbook.ErrNotProven) {
			t.Errorf("got %+v, %v", v, err)
		}
	}
}

func TestALogOnlyGoesOnFromItsOwnPast(t *testing.T) {
	l := sealed(t)
	old := l.checkpoint()
	for n := 20; n < 33; n++ {
		l.add(leafOf(n, nil))
	}
	proof, err := tlog.ProveTree(33, 20, l.reader())
	if err != nil {
		t.Fatal(err)
	}
	var hashes [][]byte
	for i := range proof {
		hashes = append(hashes, proof[i][:])
	}
	if err := tillbook.VerifyConsistency(old, l.checkpoint(), hashes, l.key); err != nil {
		t.Error(err)
	}
	if err := tillbook.VerifyConsistency(l.checkpoint(), old, hashes, l.key); !errors.Is(err, tillbook.ErrNotProven) {
		t.Errorf("backwards: %v", err)
	}
	rewritten := newLogbook(t, "test.example/books")
	rewritten.signer = l.signer
	for n := range 33 {
		rewritten.add(leafOf(n+100, nil))
	}
	if err := tillbook.VerifyConsistency(old, rewritten.checkpoint(), hashes, l.key); !errors.Is(err, tillbook.ErrNotProven) {
		t.Errorf("a rewritten log: %v", err)
	}
}

func FuzzReceipt(f *testing.F) {
	l := sealed(f)
	good, err := proto.Marshal(l.receipt(7, lunch()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &tillbook.Receipt{}
		if proto.Unmarshal(data, r) != nil {
			return
		}
		v, err := tillbook.VerifyReceipt(r, l.key)
		if err != nil {
			return
		}
		if int(v.LeafIndex) >= len(l.leaves) || string(r.GetLeaf()) != string(l.leaves[v.LeafIndex]) {
			t.Errorf("proved what was never sealed: %q", r.GetLeaf())
		}
		if v.Shown && v.Note != "lunch" {
			t.Errorf("showed %q", v.Note)
		}
	})
}
