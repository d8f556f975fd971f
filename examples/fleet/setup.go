package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
)

const (
	// terminalsOfShop is how many terminals a store has: fewer than one address may
	// activate at once.
	terminalsOfShop = 24
	// shopsOfMerchant is how many stores a merchant has.
	shopsOfMerchant = 50
	// callers is how many calls are under way while everything is made.
	callers = 16
)

// chain is a merchant with the client of its owner.
type chain struct {
	owner    *customer
	merchant string
	shops    int
}

// found makes merchants, stores and terminals, several at once, and returns the
// shops with the codes of their terminals.
func found(ctx context.Context, replicas []address, terminals int) ([]*chain, []shop, error) {
	shops := make([]shop, (terminals+terminalsOfShop-1)/terminalsOfShop)
	chains := make([]*chain, (len(shops)+shopsOfMerchant-1)/shopsOfMerchant)
	group, opening := errgroup.WithContext(ctx)
	for i := range chains {
		group.Go(func() (err error) {
			chains[i], err = foundChain(opening, replicas, i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	group, opening = errgroup.WithContext(ctx)
	group.SetLimit(callers)
	for i := range shops {
		n := min(terminalsOfShop, terminals-i*terminalsOfShop)
		group.Go(func() (err error) {
			shops[i].IP = fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
			shops[i].Codes, err = chains[i/shopsOfMerchant].open(opening, i, n)
			return err
		})
	}
	return chains, shops, group.Wait()
}

func foundChain(ctx context.Context, replicas []address, i int) (*chain, error) {
	owner, err := newCustomer(replicas, i%len(replicas))
	if err != nil {
		return nil, err
	}
	if err := owner.signUp(ctx); err != nil {
		return nil, fmt.Errorf("registering an owner: %w", err)
	}
	made, err := merchantv1connect.NewMerchantServiceClient(owner.RPC()).CreateMerchant(ctx, &merchantv1.CreateMerchantRequest{
		Name: fmt.Sprintf("Fleet %d", i), Country: "ID", City: "Bandung",
	})
	return &chain{owner: owner, merchant: made.GetMerchant().GetMerchantId()}, err
}

// open opens a store with terminals, and returns their activation codes.
func (c *chain) open(ctx context.Context, number, terminals int) ([]string, error) {
	at, err := merchantv1connect.NewMerchantServiceClient(c.owner.RPC()).CreateStore(ctx, &merchantv1.CreateStoreRequest{
		MerchantId: c.merchant, Name: fmt.Sprintf("Shop %d", number),
	})
	if err != nil {
		return nil, err
	}
	var codes []string
	for i := range terminals {
		made, err := terminalv1connect.NewTerminalServiceClient(c.owner.RPC()).CreateTerminal(ctx, &terminalv1.CreateTerminalRequest{
			MerchantId: c.merchant, StoreId: at.GetStore().GetStoreId(), Name: fmt.Sprintf("Till %d", i+1),
		})
		if err != nil {
			return nil, err
		}
		codes = append(codes, made.GetActivationCode())
	}
	return codes, nil
}

// funds is what a merchant has, in cents, whether settled or not.
func (c *chain) funds(ctx context.Context) (int64, error) {
	shown, err := merchantv1connect.NewMerchantServiceClient(c.owner.RPC()).GetMerchant(ctx, &merchantv1.GetMerchantRequest{MerchantId: c.merchant})
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, b := range shown.GetBalances() {
		for _, m := range []interface{ GetAmount() string }{b.GetAvailable(), b.GetPending()} {
			n, err := cents(m.GetAmount())
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
