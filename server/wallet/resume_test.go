package wallet

import (
	"encoding/base64"
	"errors"
	"maps"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

func accountsAt(v versions) []ledger.Account {
	var list []ledger.Account
	for account, version := range v {
		list = append(list, ledger.Account{ID: account, Version: version})
	}
	return list
}

func TestAResumeTokenReadsAsWhatWasWritten(t *testing.T) {
	user := id.New()
	rapid.Check(t, func(t *rapid.T) {
		known := versions(rapid.MapOfN(
			rapid.Map(rapid.Int64Range(1, 1<<62), func(n int64) ledger.AccountID { return ledger.AccountID(n) }),
			rapid.Int64Range(0, 1<<62), 0, 100).Draw(t, "known"))
		token, err := encodeResume(user, known)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeResume(token, user, accountsAt(known))
		if err != nil || !maps.Equal(known, again) {
			t.Fatalf("%v reads as %v, %v", known, again, err)
		}
	})
}

func TestAResumeTokenThatWasChangedIsRefused(t *testing.T) {
	user := id.New()
	known := versions{7: 12, 9: 3}
	token, err := encodeResume(user, known)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	damaged := []string{"", "x", token[1:], token + "A", token + "=", token[:len(token)-2]}
	for i := range raw {
		for bit := range 8 {
			changed := append([]byte(nil), raw...)
			changed[i] ^= 1 << bit
			damaged = append(damaged, base64.RawURLEncoding.EncodeToString(changed))
		}
	}
	for _, bad := range damaged {
		if got, err := decodeResume(bad, user, accountsAt(known)); rpc.ReasonOf(err) != errorv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_INVALID {
			t.Errorf("%q reads as %v, %v", bad, got, err)
		}
	}
}

func TestAResumeTokenMustFitItsUsersAccounts(t *testing.T) {
	user := id.New()
	cases := map[string]struct {
		user  uuid.UUID
		known versions
		now   versions
	}{
		"another user's":        {id.New(), versions{7: 1}, versions{7: 1}},
		"an account of nobody":  {user, versions{7: 1, 8: 1}, versions{7: 1}},
		"a version still ahead": {user, versions{7: 2}, versions{7: 1}},
		"less than no version":  {user, versions{7: -1}, versions{7: 1}},
	}
	for name, c := range cases {
		token, err := encodeResume(user, c.known)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeResume(token, c.user, accountsAt(c.now)); !errors.Is(err, errResumeForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMoreAccountsThanATokenHoldsAreAnErrorAndNoTruncation(t *testing.T) {
	known := make(versions)
	for i := range ledger.AccountID(10_000) {
		known[i*1_000_000+1] = 1_000_000
	}
	if token, err := encodeResume(id.New(), known); err == nil {
		t.Errorf("got a token of %d characters", len(token))
	}
}
