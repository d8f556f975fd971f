package tillbook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	sealv1 "github.com/tillbook/tillbook/gen/tillbook/seal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

// ErrNotProven says that a receipt or a checkpoint doesn't prove what it says. The
// error that wraps it says why.
var ErrNotProven = errors.New("not proven")

// Seal lets anyone follow the log in which the books are sealed.
type Seal struct {
	rpc sealv1connect.SealServiceClient
}

// Checkpoint returns the newest checkpoint and the log's public key as the server
// says. Have the key from elsewhere if you don't trust the server.
func (s *Seal) Checkpoint(ctx context.Context) (*SignedCheckpoint, error) {
	return s.rpc.GetCheckpoint(ctx, &sealv1.GetCheckpointRequest{})
}

// Consistency fetches the proof that the log of a newer size begins with that of an
// older one; VerifyConsistency verifies it.
func (s *Seal) Consistency(ctx context.Context, older, newer int64) ([][]byte, error) {
	response, err := s.rpc.GetConsistencyProof(ctx, &sealv1.GetConsistencyProofRequest{OldSize: older, NewSize: newer})
	return response.GetProof(), err
}

// Receipt returns the proof that one of the user's transactions is sealed.
func (w *Wallet) Receipt(ctx context.Context, transactionID string) (*Receipt, error) {
	response, err := w.rpc.GetReceipt(ctx, &walletv1.GetReceiptRequest{TransactionId: transactionID})
	return response.GetReceipt(), err
}

// Receipt returns the proof that a transaction is sealed.
func (l *Ledger) Receipt(ctx context.Context, transactionID string) (*Receipt, error) {
	response, err := l.rpc.GetReceipt(ctx, &ledgerv1.GetReceiptRequest{TransactionId: transactionID})
	return response.GetReceipt(), err
}

// VerifiedReceipt is what a receipt proves.
type VerifiedReceipt struct {
	TransactionID string
	Time          time.Time
	Kind          string // such as "transfer"
	Entries       []VerifiedEntry
	// HasText says whether a text was sealed with it. Note and Details are what it
	// was, if the receipt still shows it.
	HasText bool
	Shown   bool
	Note    string
	Details string
	// LeafIndex is the transaction's place among the Size leaves of the log.
	LeafIndex int64
	Size      int64
}

// VerifiedEntry is an amount that a transaction moved, in the asset's smallest unit.
type VerifiedEntry struct {
	Account string
	Asset   string
	Amount  string
}

// VerifyReceipt verifies a receipt offline, with the log's public key (NAME+HASH+KEY)
// alone, and returns what it proves. It fails with ErrNotProven.
func VerifyReceipt(receipt *Receipt, verifierKey string) (*VerifiedReceipt, error) {
	size, root, err := openCheckpoint(receipt.GetCheckpoint(), verifierKey)
	if err != nil {
		return nil, err
	}
	proof, err := hashesOf(receipt.GetProof())
	if err != nil {
		return nil, err
	}
	if receipt.GetLeafIndex() < 0 || receipt.GetLeafIndex() >= size {
		return nil, fmt.Errorf("%w: the log of the checkpoint has no leaf %d", ErrNotProven, receipt.GetLeafIndex())
	}
	if err := tlog.CheckRecord(proof, size, root, receipt.GetLeafIndex(), tlog.RecordHash(receipt.GetLeaf())); err != nil {
		return nil, fmt.Errorf("%w: the leaf doesn't lead to the checkpoint", ErrNotProven)
	}
	v, commitment, err := parseLeaf(receipt.GetLeaf())
	if err != nil {
		return nil, err
	}
	v.LeafIndex, v.Size = receipt.GetLeafIndex(), size
	if o := receipt.GetOpening(); o != nil {
		// Without a text there is nothing that an opening could show.
		if opened := commit(o); opened == nil || !bytes.Equal(opened, commitment) {
			return nil, fmt.Errorf("%w: the text is not the one that was sealed", ErrNotProven)
		}
		v.Shown, v.Note, v.Details = true, o.GetNote(), o.GetDetails()
	}
	return v, nil
}

// VerifyConsistency verifies that the log of the newer checkpoint begins with that
// of the older one. It fails with ErrNotProven.
func VerifyConsistency(older, newer string, proof [][]byte, verifierKey string) error {
	oldSize, oldRoot, err := openCheckpoint(older, verifierKey)
	if err != nil {
		return err
	}
	newSize, newRoot, err := openCheckpoint(newer, verifierKey)
	if err != nil {
		return err
	}
	hashes, err := hashesOf(proof)
	if err != nil {
		return err
	}
	if oldSize < 1 || newSize < oldSize {
		return fmt.Errorf("%w: a log of %d leaves doesn't go on from one of %d", ErrNotProven, newSize, oldSize)
	}
	if err := tlog.CheckTree(hashes, newSize, newRoot, oldSize, oldRoot); err != nil {
		return fmt.Errorf("%w: the log doesn't begin with the older one", ErrNotProven)
	}
	return nil
}

// CheckpointSize verifies a checkpoint and returns how many leaves its log has.
func CheckpointSize(checkpoint, verifierKey string) (int64, error) {
	size, _, err := openCheckpoint(checkpoint, verifierKey)
	return size, err
}

// openCheckpoint verifies and reads a checkpoint: the log's name, its size and its
// root in base64, a line each, and lines that may follow.
func openCheckpoint(text, key string) (size int64, root tlog.Hash, err error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return 0, root, fmt.Errorf("the log's public key can't be read: %w", err)
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return 0, root, fmt.Errorf("%w: the checkpoint isn't signed by this key", ErrNotProven)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return 0, root, fmt.Errorf("%w: the checkpoint is of another log", ErrNotProven)
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	raw, errRoot := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || errRoot != nil || size < 0 || len(raw) != len(root) {
		return 0, root, fmt.Errorf("%w: the checkpoint can't be read", ErrNotProven)
	}
	copy(root[:], raw)
	return size, root, nil
}

func hashesOf(list [][]byte) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(list))
	for i, h := range list {
		if copy(hashes[i][:], h) != tlog.HashSize || len(h) != tlog.HashSize {
			return nil, fmt.Errorf("%w: a hash has %d bytes", ErrNotProven, len(h))
		}
	}
	return hashes, nil
}

// parseLeaf reads the bytes of a transaction. They are proven; what can't be read is
// of a newer form.
func parseLeaf(leaf []byte) (v *VerifiedReceipt, commitment []byte, err error) {
	unknown := fmt.Errorf("%w: the leaf is of no form that this version knows", ErrNotProven)
	text, ok := strings.CutPrefix(string(leaf), "tillbook/transaction/v1\n")
	text, ended := strings.CutSuffix(text, "\n")
	if !ok || !ended {
		return nil, nil, unknown
	}
	v = &VerifiedReceipt{}
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, " ")
		switch name {
		case "id":
			v.TransactionID = value
		case "time":
			v.Time, err = time.Parse(time.RFC3339Nano, value)
		case "kind":
			v.Kind = value
		case "key", "request":
		case "entry":
			parts := strings.Split(value, " ")
			if len(parts) != 3 {
				return nil, nil, unknown
			}
			v.Entries = append(v.Entries, VerifiedEntry{Account: parts[0], Asset: parts[1], Amount: parts[2]})
		case "text":
			v.HasText = true
			commitment, err = hex.DecodeString(value)
		default:
			return nil, nil, unknown
		}
		if err != nil {
			return nil, nil, unknown
		}
	}
	return v, commitment, nil
}

// commit returns the commitment to a text.
func commit(o *sealv1.Opening) []byte {
	b := append([]byte("tillbook/text/v1\n"), o.GetSalt()...)
	b = append(b, o.GetFingerprint()...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(o.GetNote())))
	b = append(b, o.GetNote()...)
	b = append(b, o.GetDetails()...)
	if len(o.GetSalt()) != 16 || len(o.GetFingerprint()) != 32 {
		return nil // the parts must not be able to shift
	}
	sum := sha256.Sum256(b)
	return sum[:]
}
