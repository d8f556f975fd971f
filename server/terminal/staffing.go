package terminal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

var (
	errNoTerminal = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "The merchant has no such terminal.")
	errNoStore    = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "The merchant has no such store.")
	errRevoked    = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TERMINAL_REVOKED, "The terminal was revoked.")
)

// named is a request about one terminal of a merchant's.
type named interface {
	GetMerchantId() string
	GetTerminalId() string
}

// require finds out which terminal is meant and whether the caller may.
func (s *Service) require(ctx context.Context, req named, least staff.Role) (merchant, terminal uuid.UUID, err error) {
	merchant, _, err = staff.Require(ctx, s.store.Queries(), req.GetMerchantId(), rpc.PrincipalFrom(ctx).User, least)
	if err != nil {
		return uuid.Nil, uuid.Nil, err
	}
	terminal, err = id.Parse(id.Terminal, req.GetTerminalId())
	if err != nil {
		return uuid.Nil, uuid.Nil, errNoTerminal.WithCause(err)
	}
	return merchant, terminal, nil
}

// issued is a terminal with a code that was just made; an empty one if it has a
// device already.
type issued struct {
	id     uuid.UUID
	code   string
	expire time.Time
}

// create adds a terminal, or finds the one that its key made before. As long as it
// has no device, each try gets a fresh code: the code of a lost answer is nowhere.
func (s *Service) create(ctx context.Context, merchant uuid.UUID, req *terminalv1.CreateTerminalRequest) (issued, error) {
	at, err := id.Parse(id.Store, req.GetStoreId())
	if err != nil {
		return issued{}, errNoStore.WithCause(err)
	}
	key := ledger.NewKey(money.UserScope(rpc.PrincipalFrom(ctx).User)+"/terminals", req.GetIdempotencyKey())
	fingerprint := ledger.Fingerprint("terminal", req.GetMerchantId(), req.GetStoreId(), req.GetName())
	made := issued{id: id.New()}
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		inserted, err := q.InsertTerminal(ctx, store.InsertTerminalParams{
			ID: made.id, MerchantID: merchant, StoreID: at, Name: req.GetName(), KeyHash: uuid.UUID(key), Fingerprint: fingerprint[:],
		})
		if err != nil {
			return err
		}
		if inserted == 0 {
			known, err := q.FindTerminalByKey(ctx, uuid.UUID(key))
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				return errNoStore
			case err != nil:
				return err
			case string(known.Fingerprint) != string(fingerprint[:]):
				return ledger.ErrKeyReused
			}
			made.id = known.ID
		}
		held, err := q.LockTerminal(ctx, store.LockTerminalParams{ID: made.id, MerchantID: merchant})
		if err != nil || held.Active || held.RevokeTime != nil {
			return err
		}
		made.code, made.expire, err = s.codes.issue(ctx, q, made.id)
		return err
	})
	return made, err
}

// reissue gives a terminal a new code, and with it a new device.
func (s *Service) reissue(ctx context.Context, merchant, terminal uuid.UUID) (issued, error) {
	made := issued{id: terminal}
	err := s.change(ctx, merchant, terminal, func(ctx context.Context, q *store.Queries, held store.LockTerminalRow) (err error) {
		if held.RevokeTime != nil {
			return errRevoked
		}
		if made.code, made.expire, err = s.codes.issue(ctx, q, terminal); err != nil {
			return err
		}
		return endSessions(ctx, q, terminal, ending{Epoch: held.Epoch, Why: whyReplaced})
	})
	return made, err
}

// command writes what a terminal is told. Locking and unlocking bind the server at
// once; the device learns of it as of any command.
func (s *Service) command(ctx context.Context, merchant, terminal uuid.UUID, req *terminalv1.SendCommandRequest) error {
	return s.change(ctx, merchant, terminal, func(ctx context.Context, q *store.Queries, held store.LockTerminalRow) error {
		if held.RevokeTime != nil {
			return errRevoked
		}
		kind := req.GetKind()
		if kind == terminalv1.CommandKind_COMMAND_KIND_LOCK || kind == terminalv1.CommandKind_COMMAND_KIND_UNLOCK {
			lock, action := true, actionLocked
			if kind == terminalv1.CommandKind_COMMAND_KIND_UNLOCK {
				lock, action = false, actionUnlocked
			}
			if err := record(ctx, q, action, terminal); err != nil {
				return err
			}
			if err := q.SetTerminalLock(ctx, store.SetTerminalLockParams{ID: terminal, Locked: lock}); err != nil {
				return err
			}
			if err := emit(ctx, q, typeConfiguration, subjectOf(terminal), struct{}{}); err != nil {
				return err
			}
		}
		return emit(ctx, q, typeCommand, subjectOf(terminal), commandPayload{Kind: int32(kind), Version: req.GetVersion()})
	})
}

// revoke gives a terminal up, once.
func (s *Service) revoke(ctx context.Context, merchant, terminal uuid.UUID) error {
	return s.change(ctx, merchant, terminal, func(ctx context.Context, q *store.Queries, held store.LockTerminalRow) error {
		if held.RevokeTime != nil {
			return nil
		}
		if err := q.RevokeTerminal(ctx, terminal); err != nil {
			return err
		}
		if err := record(ctx, q, actionRevoked, terminal); err != nil {
			return err
		}
		return endSessions(ctx, q, terminal, ending{Epoch: held.Epoch, Why: whyRevoked})
	})
}

// change runs f on a terminal that is held meanwhile, and has what it wrote
// followed at once.
func (s *Service) change(ctx context.Context, merchant, terminal uuid.UUID, f func(context.Context, *store.Queries, store.LockTerminalRow) error) error {
	err := s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		held, err := q.LockTerminal(ctx, store.LockTerminalParams{ID: terminal, MerchantID: merchant})
		if errors.Is(err, pgx.ErrNoRows) {
			return errNoTerminal.WithCause(err)
		}
		if err != nil {
			return fmt.Errorf("holding a terminal: %w", err)
		}
		return f(ctx, q, held)
	})
	s.hub.wake()
	return err
}

// get returns a terminal as the staff sees it.
func (s *Service) get(ctx context.Context, merchant, terminal uuid.UUID) (*terminalv1.Terminal, error) {
	row, err := s.store.Queries().GetTerminal(ctx, store.GetTerminalParams{ID: terminal, MerchantID: merchant})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoTerminal.WithCause(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a terminal: %w", err)
	}
	return terminalMessage(&row), nil
}

// list returns a page of a merchant's terminals.
func (s *Service) list(ctx context.Context, merchant uuid.UUID, req *terminalv1.ListTerminalsRequest) (*terminalv1.ListTerminalsResponse, error) {
	size := rpc.PageSize(req.GetPageSize())
	query := store.ListTerminalsParams{
		MerchantID: merchant, BeforeID: uuid.Max, State: int32(req.GetState()), MaxRows: int32(size) + 1,
	}
	if req.GetStoreId() != "" {
		at, err := id.Parse(id.Store, req.GetStoreId())
		if err != nil {
			return &terminalv1.ListTerminalsResponse{}, nil
		}
		query.StoreID = &at
	}
	kind := rpc.PageKind("ListTerminals", req.GetMerchantId(), req.GetStoreId(), req.GetState().String())
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &query.BeforeID); err != nil {
			return nil, err
		}
	}
	rows, err := s.store.Queries().ListTerminals(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("listing terminals: %w", err)
	}
	res := &terminalv1.ListTerminalsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		res.NextPageToken = rpc.EncodePageToken(kind, rows[size-1].ID)
	}
	for i := range rows {
		res.Terminals = append(res.Terminals, terminalMessage(&rows[i]))
	}
	return res, nil
}

// emit writes an event in the caller's transaction.
func emit(ctx context.Context, q *store.Queries, kind, subject string, payload any) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	if err := q.InsertEvent(ctx, store.InsertEventParams{Type: kind, Subject: subject, Payload: text}); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	return nil
}

// endSessions tells all replicas to end a terminal's sessions so far.
func endSessions(ctx context.Context, q *store.Queries, terminal uuid.UUID, e ending) error {
	return emit(ctx, q, typeSessionEnded, sessionSubjectOf(terminal), e)
}
