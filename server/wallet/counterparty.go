package wallet

import (
	"github.com/google/uuid"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/mask"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store/ledger"
)

// What the other side is called when it isn't one user.
const (
	labelExternal = "External"
	labelSystem   = "System"
	labelSeveral  = "Several"
	labelOwn      = "Own accounts"
)

// otherSide is with whom a user had to do in a transaction: one other user, a
// merchant, or a label.
type otherSide struct {
	user     uuid.UUID
	merchant uuid.UUID
	label    string
}

// names are of the users and the merchants on the other sides.
type names struct {
	users     map[uuid.UUID]payee
	merchants map[uuid.UUID]string
}

// otherSideOf finds the other side of a transaction as its owner sees it. One
// other user is named whoever else took part, such as an account for fees;
// several aren't, since they have nothing to do with one another.
func otherSideOf(t *ledger.Transaction, owner uuid.UUID) otherSide {
	side := otherSide{label: labelOwn}
	for i := range t.Entries {
		code := t.Entries[i].Code
		user, isUser := money.OwnerOf(code)
		switch {
		case isUser && user == owner:
		case isUser && side.user != uuid.Nil && side.user != user:
			return otherSide{label: labelSeveral}
		case isUser:
			side = otherSide{user: user}
		case side.user != uuid.Nil || side.merchant != uuid.Nil:
		case money.Class(code) == money.ClassMerchant:
			if merchant, ok := money.MerchantOf(code); ok {
				side = otherSide{merchant: merchant}
			}
		case money.Class(code) == money.ClassExternal:
			side.label = labelExternal
		case side.label != labelExternal:
			side.label = labelSystem
		}
	}
	return side
}

// message needs the names of those on the other side.
func (o otherSide) message(named names) *walletv1.Counterparty {
	if o.merchant != uuid.Nil {
		return &walletv1.Counterparty{MaskedName: named.merchants[o.merchant]}
	}
	if o.user == uuid.Nil {
		return &walletv1.Counterparty{MaskedName: o.label}
	}
	if p, ok := named.users[o.user]; ok {
		return counterpartyMessage(p)
	}
	return counterpartyMessage(payee{id: o.user, name: mask.Name("")})
}
