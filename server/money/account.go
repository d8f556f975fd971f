package money

import (
	"strings"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// The first parts of account codes. Accounts of the last two stand for what
// isn't a user's: they have no floor.
const (
	ClassUser     = "user"
	ClassExternal = "external"
	ClassSystem   = "system"
)

// UserPrefix begins the codes of all of a user's accounts.
func UserPrefix(user uuid.UUID) string {
	return ClassUser + "/" + id.Format(id.User, user) + "/"
}

// UserAccount is the code of the account in which a user keeps what they can
// spend of an asset.
func UserAccount(user uuid.UUID, asset ledger.Asset) string {
	return ClassUser + "/" + id.Format(id.User, user) + "/main/" + asset.Code
}

// SandboxAccount is the code of the account that stands for where money comes
// from in a sandbox.
func SandboxAccount(asset ledger.Asset) string {
	return ClassExternal + "/sandbox/" + asset.Code
}

// Class is the first part of an account's code.
func Class(code string) string {
	class, _, _ := strings.Cut(code, "/")
	return class
}

// OwnerOf returns the user whose account this is, or false if it is no user's.
func OwnerOf(code string) (uuid.UUID, bool) {
	rest, ok := strings.CutPrefix(code, ClassUser+"/")
	if !ok {
		return uuid.Nil, false
	}
	owner, _, ok := strings.Cut(rest, "/")
	if !ok {
		return uuid.Nil, false
	}
	user, err := id.Parse(id.User, owner)
	return user, err == nil
}

// UserScope is the scope of a user's idempotency keys.
func UserScope(user uuid.UUID) string {
	return ClassUser + "/" + id.Format(id.User, user)
}
