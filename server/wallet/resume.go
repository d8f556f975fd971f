package wallet

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/ledger"
)

// versions is how far a watch has come: of each account the version of the last
// entry that the client knows. An account that isn't there was opened later, so
// nothing of it is known.
type versions map[ledger.AccountID]int64

// A resume token is base64url over a checksum, the form's number, the user's
// id, and the versions in the order of the accounts' numbers, all as varints
// and the numbers as differences: about eight characters an account. It is
// neither secret nor signed. It gives no right: only the caller's own accounts
// are ever read, and a version that was made up only repeats or skips to whom
// made it up what is theirs.
const (
	resumeForm     = 1
	resumeSumBytes = 8
	// maxResumeLen is the most that a request takes: some 350 accounts of one
	// user, each of another asset.
	maxResumeLen = 4096
)

func encodeResume(user uuid.UUID, known versions) (string, error) {
	data := make([]byte, 0, 1+len(user)+8*len(known))
	data = append(data, resumeForm)
	data = append(data, user[:]...)
	last := ledger.AccountID(0)
	for _, account := range slices.Sorted(maps.Keys(known)) {
		data = binary.AppendUvarint(data, uint64(account-last))
		data = binary.AppendUvarint(data, uint64(known[account]))
		last = account
	}
	sum := sha256.Sum256(data)
	token := base64.RawURLEncoding.EncodeToString(append(sum[:resumeSumBytes:resumeSumBytes], data...))
	if len(token) > maxResumeLen {
		return "", fmt.Errorf("a resume token over %d accounts has %d characters", len(known), len(token))
	}
	return token, nil
}

// decodeResume reads a token of this user and checks it against the user's
// accounts: each must be one of them, and no further than it is now. It fails
// with RESUME_TOKEN_INVALID.
func decodeResume(token string, user uuid.UUID, accounts []ledger.Account) (versions, error) {
	known, err := parseResume(token, user)
	if err == nil {
		err = known.check(accounts)
	}
	if err != nil {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_INVALID,
			"The resume token is damaged or belongs to another stream. Watch again without one.").
			WithField("resume_token", "must be the resume_token of a message of the same user's stream").
			WithCause(err)
	}
	return known, nil
}

func parseResume(token string, user uuid.UUID) (versions, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, err
	}
	if len(raw) < resumeSumBytes+1+len(user) {
		return nil, errResumeDamaged
	}
	sum, data := raw[:resumeSumBytes], raw[resumeSumBytes:]
	want := sha256.Sum256(data)
	if !bytes.Equal(sum, want[:resumeSumBytes]) || data[0] != resumeForm {
		return nil, errResumeDamaged
	}
	if !bytes.Equal(data[1:1+len(user)], user[:]) {
		return nil, errResumeForeign
	}
	known := make(versions)
	last := ledger.AccountID(0)
	for rest := data[1+len(user):]; len(rest) > 0; {
		step, n := binary.Uvarint(rest)
		version, m := binary.Uvarint(rest[max(n, 0):])
		if n <= 0 || m <= 0 || step == 0 {
			return nil, errResumeDamaged
		}
		last += ledger.AccountID(step)
		known[last] = int64(version)
		rest = rest[n+m:]
	}
	return known, nil
}

func (v versions) check(accounts []ledger.Account) error {
	now := make(versions, len(accounts))
	for _, a := range accounts {
		now[a.ID] = a.Version
	}
	for account, version := range v {
		if current, ok := now[account]; !ok || version < 0 || version > current {
			return errResumeForeign
		}
	}
	return nil
}

var (
	errResumeDamaged = errors.New("resume token damaged")
	errResumeForeign = errors.New("resume token of another stream")
)
