package terminal

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"filippo.io/edwards25519"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
)

const (
	// codeLength is the length of an activation code: 50 random bits, which nobody
	// finds in ten minutes at the rate that is allowed.
	codeLength = 10
	// codeAlphabet is Crockford's base32 as people write it.
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	// signedPrefix begins what a device signs to prove that it has its key.
	signedPrefix = "tillbook-terminal-activation\n"
)

var (
	// activateRule bounds how fast one address can try codes: thirty at once, a shop
	// full of terminals, then one in two seconds.
	activateRule = rate.Rule{Name: "terminal.activate", Per: 2 * time.Second, Burst: 30}

	errCode = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ACTIVATION_CODE_INVALID,
		"The activation code is wrong, was used or has expired. Ask for a new one.")
	errPublicKey = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PUBLIC_KEY_INVALID,
		"The signature over the activation code isn't made with the public key's private half, or the key is not one of Ed25519.")
)

// codes makes activation codes and knows under which hash they are kept. The hash
// is keyed, so that a dump of the database gives no code away.
type codes struct{ key secret.Derived }

// issue gives a terminal a fresh code.
func (c codes) issue(ctx context.Context, q *store.Queries, terminal uuid.UUID) (code string, expire time.Time, err error) {
	var random [codeLength]byte
	_, _ = rand.Read(random[:]) // never fails; it aborts the process instead
	for i, b := range random {
		random[i] = codeAlphabet[b&31]
	}
	code = string(random[:])
	expire, err = q.SetActivationCode(ctx, store.SetActivationCodeParams{ID: terminal, Hash: hashCode(c.key.Newest(), code)})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("issuing an activation code: %w", err)
	}
	return code, expire, record(ctx, q, actionCodeIssued, terminal)
}

// hashes are those that a code may be kept under.
func (c codes) hashes(code string) (all [][]byte) {
	for _, key := range c.key() {
		all = append(all, hashCode(key, code))
	}
	return all
}

// hashCode is the hash of a code however it was typed.
func hashCode(key []byte, code string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(normalized(code)))
	return h.Sum(nil)
}

// normalized undoes what people do to a code: lower case, spaces, hyphens, and
// letters that look like digits.
func normalized(code string) string {
	return strings.NewReplacer(" ", "", "-", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(code))
}

// activated is a terminal that has its device.
type activated struct{ id, merchant uuid.UUID }

// activate binds a key to the terminal that a code stands for. Of several devices
// that use a code at the same time one gets it; the others learn only that it is of
// no use. The same device again is told the same.
func (s *Service) activate(ctx context.Context, req *terminalv1.ActivateRequest) (activated, error) {
	if err := s.limiter.Allow(ctx, activateRule, rpc.ClientIP(ctx).String()); err != nil {
		return activated{}, err
	}
	if err := checkKey(req); err != nil {
		return activated{}, err
	}
	described, err := deviceRow(req.GetDevice())
	if err != nil {
		return activated{}, fmt.Errorf("describing a device: %w", err)
	}
	hashes := s.codes.hashes(req.GetActivationCode())
	var done activated
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		row, err := q.LockTerminalByCode(ctx, hashes)
		if errors.Is(err, pgx.ErrNoRows) {
			return errCode.WithCause(err)
		}
		if err != nil {
			return fmt.Errorf("looking an activation code up: %w", err)
		}
		done = activated{row.ID, row.MerchantID}
		switch {
		case !slices.ContainsFunc(hashes, func(h []byte) bool { return hmac.Equal(row.ActivationHash, h) }), row.RevokeTime != nil:
			return errCode
		case string(row.PublicKey) == string(req.GetPublicKey()):
			return nil
		case row.PublicKey != nil, !row.Fresh:
			return errCode
		}
		if err := q.ActivateTerminal(ctx, store.ActivateTerminalParams{ID: row.ID, PublicKey: req.GetPublicKey(), Device: described}); err != nil {
			return err
		}
		return record(ctx, q, actionActivated, row.ID)
	})
	return done, err
}

// checkKey proves that the device has the private half of its key.
func checkKey(req *terminalv1.ActivateRequest) error {
	key := ed25519.PublicKey(req.GetPublicKey())
	signed := fmt.Appendf(nil, "%s%s\n%s", signedPrefix, req.GetActivationCode(), req.GetPublicKey())
	if !ed25519.Verify(key, signed, req.GetSignature()) || anybodySigns(key) {
		return errPublicKey
	}
	return nil
}

// anybodySigns finds the few keys of small order, under which signatures can be
// made without a private key.
func anybodySigns(key ed25519.PublicKey) bool {
	point, err := new(edwards25519.Point).SetBytes(key)
	return err != nil || point.MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1
}
