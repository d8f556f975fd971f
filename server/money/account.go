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
	ClassMerchant = "merchant"
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

// MerchantScope is the owner of a merchant's accounts, by which limits and events
// know it.
func MerchantScope(merchant uuid.UUID) string {
	return ClassMerchant + "/" + id.Format(id.Merchant, merchant)
}

// MerchantPending is the code of the account in which a merchant's sales wait to be
// settled.
func MerchantPending(merchant uuid.UUID, asset ledger.Asset) string {
	return MerchantScope(merchant) + "/pending/" + asset.Code
}

// MerchantAvailable is the code of the account with what a merchant can take out.
func MerchantAvailable(merchant uuid.UUID, asset ledger.Asset) string {
	return MerchantScope(merchant) + "/available/" + asset.Code
}

// FeesAccount is the code of the account for what Tillbook keeps of payments. It has
// no floor.
func FeesAccount(asset ledger.Asset) string { return ClassSystem + "/fees/" + asset.Code }

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
	return ownerOf(code, ClassUser, id.User)
}

// MerchantOf returns the merchant whose account this is, or false if it is none's.
func MerchantOf(code string) (uuid.UUID, bool) {
	return ownerOf(code, ClassMerchant, id.Merchant)
}

func ownerOf(code, class string, prefix id.Prefix) (uuid.UUID, bool) {
	rest, ok := strings.CutPrefix(code, class+"/")
	if !ok {
		return uuid.Nil, false
	}
	name, _, ok := strings.Cut(rest, "/")
	if !ok {
		return uuid.Nil, false
	}
	owner, err := id.Parse(prefix, name)
	return owner, err == nil
}

// TerminalScope is the scope of a terminal's idempotency keys and events.
func TerminalScope(terminal uuid.UUID) string {
	return "terminal/" + id.Format(id.Terminal, terminal)
}

// UserScope is the scope of a user's idempotency keys.
func UserScope(user uuid.UUID) string {
	return ClassUser + "/" + id.Format(id.User, user)
}
