package terminal

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
)

// epochSlack is how far ahead of the database a device may be, which happens when
// the database has lost its last seconds in a failover.
const epochSlack = 1000

var (
	errNoHello = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
		"A session begins with a Hello, and has no other.").WithField("hello", "must be the first message, and only that")
	errEpoch = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
		"There was no such session of the terminal.").WithField("hello.last_epoch", "must be an epoch that a Welcome told")
	errSequence = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_SEQUENCE_UNKNOWN,
		"The terminal has no such message.").WithField("hello.last_sequence", "must be that of a message that was sent to this terminal")
)

// beginning is where a session begins.
type beginning struct {
	epoch int64
	// known is the newest epoch that the device is known to know.
	known int64
	// acked is the sequence up to which the server knows messages as acknowledged,
	// and from the one after which they are sent.
	acked, from uint64
}

// begin gives a session its epoch, in the one transaction in which it is decided
// whose it is. If another device has the key, the terminal is locked instead and its
// merchant told.
func (s *Service) begin(ctx context.Context, terminal uuid.UUID, hello *terminalv1.SessionRequest_Hello) (beginning, error) {
	var b beginning
	var verdict error // what is committed all the same
	err := s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		verdict = nil
		row, err := q.LockTerminalForSession(ctx, terminal)
		if errors.Is(err, pgx.ErrNoRows) {
			return errAssertion.WithCause(err)
		}
		if err != nil {
			return fmt.Errorf("holding a terminal: %w", err)
		}
		now := standing{active: row.Active, revoked: row.RevokeTime != nil, keyShared: row.KeyShared}
		if err := now.refuse(0); err != nil {
			return err
		}
		last := int64(min(hello.GetLastEpoch(), 1<<62))
		switch {
		case last < row.ConfirmedEpoch:
			verdict = errKeyShared
			return lockShared(ctx, q, terminal, row)
		case last > row.Epoch+epochSlack:
			return errEpoch
		}
		b = beginning{epoch: max(row.Epoch, last) + 1, known: last, acked: uint64(row.Acked)}
		if b.from, err = beginsAfter(ctx, q, terminal, b.acked, hello.GetLastSequence()); err != nil {
			return err
		}
		if err := q.SetTerminalEpoch(ctx, store.SetTerminalEpochParams{ID: terminal, Epoch: b.epoch}); err != nil {
			return fmt.Errorf("beginning a session: %w", err)
		}
		return emit(ctx, q, typeSessionBegun, sessionSubjectOf(terminal), begun{Epoch: b.epoch})
	})
	s.hub.wake()
	if err == nil {
		err = verdict
	}
	return b, err
}

// beginsAfter returns the sequence after which messages are sent: the one that was
// acknowledged or, if that is a later message of the terminal's, the last one that the
// device says it has taken. Any other number fails with SEQUENCE_UNKNOWN: it is of
// another terminal, or of what the database has lost in a failover, and the device
// would pass over what it was never sent.
func beginsAfter(ctx context.Context, q *store.Queries, terminal uuid.UUID, acked, last uint64) (uint64, error) {
	if last <= acked {
		return acked, nil
	}
	xid, number := placeOf(last)
	there, err := q.HasTerminalEvent(ctx, store.HasTerminalEventParams{Subject: subjectOf(terminal), Xid: xid, Number: number})
	if err != nil {
		return 0, fmt.Errorf("looking a message up: %w", err)
	}
	if !there || number == 0 {
		return 0, errSequence.WithMetadata("acknowledged_sequence", strconv.FormatUint(acked, 10))
	}
	return last, nil
}

// lockShared locks a terminal whose key two devices use, ends whatever session it
// has and tells the merchant.
func lockShared(ctx context.Context, q *store.Queries, terminal uuid.UUID, row store.LockTerminalForSessionRow) error {
	if err := q.SetKeyShared(ctx, terminal); err != nil {
		return fmt.Errorf("locking a terminal: %w", err)
	}
	if err := record(ctx, q, actionKeyShared, terminal); err != nil {
		return err
	}
	if err := endSessions(ctx, q, terminal, ending{Epoch: row.Epoch, Why: whyShared}); err != nil {
		return err
	}
	return emit(ctx, q, typeAlert, money.MerchantScope(row.MerchantID), alertPayload{
		Terminal: terminal, Message: "Two devices use the key of this terminal. It was locked.",
	})
}
