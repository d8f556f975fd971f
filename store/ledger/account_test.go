package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestAnAccountOpenedByManyAtOnceIsOpenedOnce(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{})
	opened := make([]ledger.AccountID, 200)
	atOnce(len(opened), func(i int) {
		var err error
		opened[i], err = b.ledgers[i%2].OpenAccount(ctx, ledger.AccountSpec{Code: "user/1/main/JPY", Asset: jpy})
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	})
	slices.Sort(opened)
	if distinct := slices.Compact(opened); len(distinct) != 1 || distinct[0] == 0 {
		t.Errorf("200 callers got the accounts %v", distinct)
	}
	if n := b.count(`SELECT count(*) FROM accounts`); n != 1 {
		t.Errorf("there are %d accounts", n)
	}
	if n := b.count(`SELECT count(*) FROM events WHERE type = 'account.opened' AND subject = 'user/1/main/JPY'`); n != 1 {
		t.Errorf("%d events tell of the account", n)
	}
}

func TestAnAccountKeepsItsAssetAndFloor(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{})
	id := b.account("user/1/main", jpy, 0)
	outside := b.outside(jpy)
	for i, l := range b.ledgers { // the first remembers the account, the second has to look
		if _, err := l.OpenAccount(ctx, ledger.AccountSpec{Code: "user/1/main", Asset: usd}); !errors.Is(err, ledger.ErrAccountAsset) {
			t.Errorf("ledger %d opens an account of JPY for USD: %v", i, err)
		}
		again, err := l.OpenAccount(ctx, ledger.AccountSpec{Code: "user/1/main", Asset: jpy})
		if err != nil || again != id {
			t.Errorf("ledger %d opens the account again as %d, %v; want %d", i, again, err, id)
		}
		found, asset, err := l.LookupAccount(ctx, "user/1/main")
		if err != nil || found != id || asset != jpy {
			t.Errorf("ledger %d finds %d of asset %d, %v", i, found, asset, err)
		}
		if _, _, err := l.LookupAccount(ctx, "user/2/main"); !errors.Is(err, ledger.ErrAccountNotFound) {
			t.Errorf("ledger %d looks up an account that isn't there: %v", i, err)
		}
		if _, err := l.Account(ctx, "user/2/main"); !errors.Is(err, ledger.ErrAccountNotFound) {
			t.Errorf("ledger %d reads an account that isn't there: %v", i, err)
		}
		if _, err := l.AccountAt(ctx, "user/2/main", b.read("user/1/main").CreateTime); !errors.Is(err, ledger.ErrAccountNotFound) {
			t.Errorf("ledger %d reads an account of the past that isn't there: %v", i, err)
		}
	}
	a := b.read("user/1/main")
	if a.ID != id || a.Floor == nil || !a.Floor.IsZero() || !a.Balance.IsZero() || !a.LastTime.IsZero() || a.Version != 0 || a.CreateTime.IsZero() {
		t.Errorf("a new account reads %+v", a)
	}
	if o := b.read(fmt.Sprintf("external/test/%d", jpy)); o.ID != outside || o.Floor != nil {
		t.Errorf("an account without floor reads %+v", o)
	}
}

func TestAccountsUnderAPrefixAreThoseAndInOrder(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	for _, code := range []string{"user/1/b", "user/1/a", "user/1", "user/10/a", "user/1/\u00e9", "user/1/\U0010FFFE", "user/0/z", "user/2/a"} {
		b.account(code, jpy, 0)
	}
	got, err := b.ledgers[0].AccountsUnder(ctx, "user/1/")
	var codes []string
	for _, a := range got {
		codes = append(codes, a.Code)
	}
	if want := []string{"user/1/a", "user/1/b", "user/1/\u00e9", "user/1/\U0010FFFE"}; err != nil || !slices.Equal(codes, want) {
		t.Errorf("got %q, %v; want %q", codes, err, want)
	}
}

func TestAFullCacheOfAccountsForgetsAndLooksAgain(t *testing.T) {
	b := newBooks(t, 0, ledger.Config{})
	b.join(ledger.Config{CacheSize: 2}, store.Config{})
	ids := map[string]ledger.AccountID{}
	for range 2 {
		for i := range 5 {
			code := fmt.Sprintf("user/%d/main", i)
			id := b.account(code, jpy, 0)
			if ids[code] == 0 {
				ids[code] = id
			}
			if found, _, err := b.ledgers[0].LookupAccount(ctx, code); err != nil || found != id || ids[code] != id {
				t.Errorf("%s is %d, was %d and is found as %d, %v", code, id, ids[code], found, err)
			}
		}
	}
}

func TestAssetsAreAddedOnceAndSeenByAllLedgers(t *testing.T) {
	b := newBooks(t, 2, ledger.Config{})
	for _, l := range b.ledgers { // they remember what there is
		if _, err := l.Asset(ctx, "GOLD"); !errors.Is(err, ledger.ErrAssetNotFound) {
			t.Errorf("an asset that isn't there: %v", err)
		}
	}
	gold := ledger.Asset{Code: "GOLD", Exponent: 6, Network: "vault"}
	created := make([]ledger.Asset, 20)
	atOnce(len(created), func(i int) {
		var err error
		if created[i], err = b.ledgers[i%2].CreateAsset(ctx, gold); err != nil {
			t.Error(err)
		}
	})
	for _, a := range created {
		if a.ID == 0 || a.CreateTime.IsZero() || a != created[0] || a.Code != gold.Code || a.Exponent != 6 || a.Network != "vault" {
			t.Errorf("created %+v", a)
		}
	}
	for _, l := range b.ledgers {
		byCode, err1 := l.Asset(ctx, "GOLD")
		byID, err2 := l.AssetByID(ctx, created[0].ID)
		if err1 != nil || err2 != nil || byCode != created[0] || byID != created[0] {
			t.Errorf("found %+v and %+v; %v, %v", byCode, byID, err1, err2)
		}
		for _, other := range []ledger.Asset{{Code: "GOLD", Exponent: 5, Network: "vault"}, {Code: "GOLD", Exponent: 6}} {
			if _, err := l.CreateAsset(ctx, other); !errors.Is(err, ledger.ErrAssetExists) {
				t.Errorf("creating %+v: %v", other, err)
			}
		}
		if _, err := l.AssetByID(ctx, 9999); !errors.Is(err, ledger.ErrAssetNotFound) {
			t.Errorf("an unknown number: %v", err)
		}
		all, err := l.Assets(ctx)
		sorted := slices.IsSortedFunc(all, func(a, b ledger.Asset) int { return slices.Compare([]byte(a.Code), []byte(b.Code)) })
		if err != nil || !sorted || !slices.Contains(all, created[0]) || len(all) != 14 {
			t.Errorf("all assets: %+v, %v", all, err)
		}
	}
}
