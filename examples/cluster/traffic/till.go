package traffic

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"google.golang.org/grpc"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/sdk/terminal"
)

// till is a terminal in a shop.
type till struct {
	*terminal.Terminal
	traffic *Traffic
	name    string
	// online is closed when it is online for the first time.
	online chan struct{}
	begun  sync.Once
}

// openTill has the first person open a shop with a terminal, and activates that.
func (t *Traffic) openTill(ctx context.Context, i int) (_ *till, err error) {
	owner := t.people[0]
	merchants := merchantv1connect.NewMerchantServiceClient(owner.RPC())
	made, err := merchants.CreateMerchant(ctx, &merchantv1.CreateMerchantRequest{Name: fmt.Sprintf("Shop %d", i), Country: "ID", City: "Bandung"})
	if err != nil {
		return nil, fmt.Errorf("open a shop: %w", err)
	}
	merchant := made.GetMerchant().GetMerchantId()
	store, err := merchants.CreateStore(ctx, &merchantv1.CreateStoreRequest{MerchantId: merchant, Name: "Store"})
	if err != nil {
		return nil, fmt.Errorf("open a store: %w", err)
	}
	created, err := owner.Terminals.Create(ctx, &tillbook.CreateTerminalRequest{MerchantId: merchant, StoreId: store.GetStore().GetStoreId(), Name: "Till"})
	if err != nil {
		return nil, fmt.Errorf("add a terminal: %w", err)
	}
	var once []grpc.DialOption
	if t.options.Once {
		once = append(once, grpc.WithDefaultCallOptions(retry.Disable()))
	}
	d := &till{traffic: t, name: fmt.Sprintf("till %d", i), online: make(chan struct{})}
	d.Terminal, err = terminal.New(terminal.Config{
		Address: t.options.Native, TLS: t.options.TLS.Clone(), Keys: terminal.MemoryKeys(), Journal: terminal.MemoryJournal(),
		MinBackoff: 200 * time.Millisecond, MaxBackoff: 2 * time.Second, DialOptions: once,
		Handlers: terminal.Handlers{
			Event: func(_ context.Context, e terminal.Event) {
				if e.Paid != nil {
					t.book.shown(e.Paid.GetCheckoutId(), d.name)
				}
			},
			Online: func(online bool, _ error) {
				if online {
					d.begun.Do(func() { close(d.online) })
				}
			},
		},
	})
	if err != nil {
		return nil, err
	}
	if _, err := d.Activate(ctx, created.GetActivationCode(), &terminalv1.Device{Model: "Example", SoftwareVersion: "1.0"}); err != nil {
		d.close()
		return nil, fmt.Errorf("activate: %w", err)
	}
	return d, nil
}

// run keeps it online until the context ends.
func (d *till) run(ctx context.Context) {
	if err := d.Run(ctx); ctx.Err() == nil {
		d.traffic.called("be online", err)
	}
}

// sell makes a checkout and has a customer pay it.
func (d *till) sell(customer *person) {
	checkout, err := d.CreateCheckout(context.Background(), &terminalv1.CreateCheckoutRequest{Amount: tillbook.MustMoney("0.05 USD").Proto()})
	if !d.traffic.called("create a checkout", err) {
		return
	}
	if customer.payCheckout(checkout.GetCheckoutId()) {
		d.traffic.book.promised(checkout.GetCheckoutId(), d.name)
	}
}

func (d *till) close() { _ = d.Close() }
