package terminal

import (
	"context"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
)

// What of terminals is in the audit trail: who may sell, and when that changed.
const (
	actionCodeIssued = "terminal.code_issued"
	actionActivated  = "terminal.activated"
	actionRevoked    = "terminal.revoked"
	actionLocked     = "terminal.locked"
	actionUnlocked   = "terminal.unlocked"
	actionKeyShared  = "terminal.key_shared"
)

// record notes what was done to a terminal, in the transaction that does it: by the
// user who calls or, where a device does, by nobody who is known.
func record(ctx context.Context, q *store.Queries, action string, terminal uuid.UUID) error {
	actor := audit.Actor{Kind: audit.System}
	if user := rpc.PrincipalFrom(ctx).User; user != uuid.Nil {
		actor = audit.Actor{Kind: audit.User, ID: user}
	}
	return q.Record(ctx, audit.New(actor, action, subjectOf(terminal), nil).From(rpc.Origin(ctx)))
}
