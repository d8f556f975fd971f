package sandbox

import (
	"context"
	"fmt"

	"github.com/tillbook/tillbook/store"
)

// keptMessages bounds the table: sending one more forgets the oldest.
const keptMessages = 20_000

// Gateway keeps the messages that a real one would send. It is safe for
// concurrent use.
type Gateway struct {
	store *store.Store
	kept  int64
}

// NewGateway returns a gateway that writes to a database.
func NewGateway(s *store.Store) *Gateway { return &Gateway{store: s, kept: keptMessages} }

// Send keeps a message to a phone number in E.164 form.
func (g *Gateway) Send(ctx context.Context, phone, text string) error {
	err := g.store.Queries().InsertSandboxMessage(ctx, store.InsertSandboxMessageParams{
		Kept: g.kept, PhoneNumber: phone, Text: text,
	})
	if err != nil {
		return fmt.Errorf("keeping a message: %w", err)
	}
	return nil
}
