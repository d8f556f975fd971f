package merchant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/cause"
	"github.com/tillbook/tillbook/store/ledger"
)

const (
	// settleBatch is how many merchants are looked at in one statement.
	settleBatch = 200
	// settleTimeout bounds one round.
	settleTimeout = time.Minute
)

// Settler makes sales available. Every replica runs one. It is safe for concurrent
// use.
type Settler struct {
	store    *store.Store
	ledger   *ledger.Ledger
	log      *slog.Logger
	interval time.Duration
	sweep    time.Duration

	// Run's own: when it last looked at all merchants, the first transaction since then
	// whose events it hasn't read, and those that failed in its last round.
	swept time.Time
	next  int64
	again []uuid.UUID
}

// SettlerConfig says what a settler works with.
type SettlerConfig struct {
	Store  *store.Store
	Ledger *ledger.Ledger
	// Interval is the average pause between two rounds. Default 1 s.
	Interval time.Duration
	// SweepInterval is how often all merchants that settle at once are looked at; in
	// between it is those that were told of something. Default 30 s.
	SweepInterval time.Duration
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

// NewSettler returns a settler. It does nothing before it runs.
func NewSettler(cfg SettlerConfig) *Settler {
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.SweepInterval <= 0 {
		cfg.SweepInterval = 30 * time.Second
	}
	return &Settler{store: cfg.Store, ledger: cfg.Ledger, log: cfg.Logger, interval: cfg.Interval, sweep: cfg.SweepInterval}
}

// Run settles what is due until the context ends.
func (s *Settler) Run(ctx context.Context) {
	failing := false
	for {
		round, cancel := context.WithTimeout(ctx, settleTimeout)
		err := s.round(round)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			s.log.WarnContext(ctx, "settling failed; trying again", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.interval/2 + rand.N(s.interval)):
		}
	}
}

// round settles what is due now and what was sold since the last round. A merchant that
// fails is tried again in the next one, which is no reason to look at all others again.
func (s *Settler) round(ctx context.Context) error {
	horizon, err := s.store.Queries().GetHorizon(ctx)
	if err != nil {
		return fmt.Errorf("reading the horizon: %w", err)
	}
	sweep := time.Since(s.swept) >= s.sweep
	var failures map[uuid.UUID]error
	if sweep {
		failures, err = s.settleAtOnce(ctx)
	} else {
		failures, err = s.settleTold(ctx, horizon)
	}
	if err == nil {
		s.next, s.again = horizon, slices.Collect(maps.Keys(failures))
		if sweep {
			s.swept = time.Now()
		}
	}
	return errors.Join(err, join(failures), s.settleDue(ctx))
}

// settleTold settles merchants at once that were told of something before a horizon, or
// failed before. It returns those that fail.
func (s *Settler) settleTold(ctx context.Context, horizon int64) (map[uuid.UUID]error, error) {
	subjects, err := s.store.Queries().ListToldMerchants(ctx, store.ListToldMerchantsParams{FirstXid: s.next, Horizon: horizon})
	if err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	told, traces := slices.Clone(s.again), []string(nil)
	for _, r := range subjects {
		traces = append(traces, r.Traces...)
		if merchant, ok := money.MerchantOf(r.Subject + "/"); ok {
			told = append(told, merchant)
		}
	}
	ctx, span := cause.Start(ctx, "merchant.settle", cause.Parsed(traces...))
	defer span.End()
	failures := make(map[uuid.UUID]error)
	for ids := range slices.Chunk(told, settleBatch) {
		list, err := s.store.Queries().FilterMerchantsAtOnce(ctx, ids)
		if err != nil {
			return failures, fmt.Errorf("finding merchants: %w", err)
		}
		maps.Copy(failures, s.settleMerchants(ctx, list, turnAtOnce))
	}
	return failures, nil
}

// Settle settles once what is due now. What fails for one merchant doesn't keep the
// others waiting.
func (s *Settler) Settle(ctx context.Context) error {
	failures, err := s.settleAtOnce(ctx)
	return errors.Join(s.settleDue(ctx), err, join(failures))
}

// settleDue settles merchants whose time has come, and then says when each is due next.
func (s *Settler) settleDue(ctx context.Context) error {
	due, err := s.store.Queries().ListDueMerchants(ctx, settleBatch)
	if err != nil || len(due) == 0 {
		return err
	}
	merchants, times := make([]uuid.UUID, len(due)), make(map[uuid.UUID]time.Time, len(due))
	for i := range due {
		merchants[i], times[due[i].ID] = due[i].ID, due[i].SettleTime
	}
	failures := s.settleMerchants(ctx, merchants, func(a *unsettled) string {
		return "due/" + strconv.FormatInt(times[a.merchant].UnixMicro(), 10)
	})
	for i := range due {
		if failures[due[i].ID] == nil {
			if err := s.pass(ctx, &due[i]); err != nil {
				failures[due[i].ID] = err
			}
		}
	}
	return join(failures)
}

// pass says when a merchant that has settled is due next.
func (s *Settler) pass(ctx context.Context, m *store.ListDueMerchantsRow) error {
	plan, err := scheduleOf(m)
	if err != nil {
		return fmt.Errorf("reading the schedule of merchant %s: %w", m.ID, err)
	}
	next := plan.next(m.Now)
	if next == nil {
		return nil // it has another schedule by now
	}
	err = s.store.Queries().PassSettleTime(ctx, store.PassSettleTimeParams{ID: m.ID, Due: m.SettleTime, Next: *next})
	if err != nil {
		return fmt.Errorf("passing the settle time of merchant %s: %w", m.ID, err)
	}
	return nil
}

// settleAtOnce settles all merchants that don't wait for a time. It returns those that
// fail.
func (s *Settler) settleAtOnce(ctx context.Context) (map[uuid.UUID]error, error) {
	failures := make(map[uuid.UUID]error)
	for after := uuid.Nil; ; {
		list, err := s.store.Queries().ListMerchantsAtOnce(ctx, store.ListMerchantsAtOnceParams{AfterID: after, MaxRows: settleBatch})
		if err != nil {
			return failures, fmt.Errorf("listing merchants: %w", err)
		}
		maps.Copy(failures, s.settleMerchants(ctx, list, turnAtOnce))
		if len(list) < settleBatch {
			return failures, nil
		}
		after = list[len(list)-1]
	}
}

// turnAtOnce is the settlement that follows the last one that has a document.
func turnAtOnce(a *unsettled) string { return "after/" + strconv.FormatInt(a.SettledVersion, 10) }

// unsettled is a pending account with entries that no document covers.
type unsettled struct {
	store.ListUnsettledRow
	merchant  uuid.UUID
	available ledger.AccountID
}

// settleMerchants settles the accounts of merchants that have something to settle or
// lack a document, and returns what failed, by merchant. Turn names an account's
// settlement: the ledger makes it once.
func (s *Settler) settleMerchants(ctx context.Context, merchants []uuid.UUID, turn func(*unsettled) string) map[uuid.UUID]error {
	failures := make(map[uuid.UUID]error)
	accounts, err := s.unsettled(ctx, merchants)
	if err != nil {
		for _, m := range merchants {
			failures[m] = err
		}
		return failures
	}
	var commands []ledger.Command
	var moving []*unsettled
	for i := range accounts {
		if a := &accounts[i]; a.Positive {
			commands, moving = append(commands, a.settle(turn(a))), append(moving, a)
		}
	}
	for i, answer := range s.ledger.CommitEach(ctx, commands) {
		if answer.Err != nil && !errors.Is(answer.Err, errNothing) {
			failures[moving[i].merchant] = fmt.Errorf("settling %s: %w", moving[i].Code, answer.Err)
		}
	}
	for i := range accounts {
		if err := s.document(ctx, &accounts[i]); err != nil {
			failures[accounts[i].merchant] = fmt.Errorf("documenting %s: %w", accounts[i].Code, err)
		}
	}
	return failures
}

// unsettled finds the accounts of merchants that have entries no document covers.
func (s *Settler) unsettled(ctx context.Context, merchants []uuid.UUID) ([]unsettled, error) {
	prefixes := make([]string, len(merchants))
	for i, m := range merchants {
		prefixes[i] = money.MerchantScope(m) + "/pending/"
	}
	rows, err := s.store.Queries().ListUnsettled(ctx, prefixes)
	if err != nil {
		return nil, fmt.Errorf("listing unsettled accounts: %w", err)
	}
	list := make([]unsettled, len(rows))
	for i := range rows {
		merchant, ok := money.MerchantOf(rows[i].Code)
		if !ok {
			return nil, fmt.Errorf("%s is no merchant's account", rows[i].Code)
		}
		list[i] = unsettled{ListUnsettledRow: rows[i], merchant: merchant}
		if !rows[i].Positive {
			continue
		}
		asset, err := s.ledger.AssetByID(ctx, ledger.AssetID(rows[i].AssetID))
		if err != nil {
			return nil, err
		}
		list[i].available, err = s.ledger.OpenAccount(ctx, ledger.AccountSpec{Code: money.MerchantAvailable(merchant, asset), Asset: asset.ID})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// errNothing refuses a settlement that would move nothing.
var errNothing = errors.New("nothing to settle")

// settle makes available all that an account has pending, once for a turn.
func (a *unsettled) settle(turn string) ledger.Command {
	pending, available := ledger.AccountID(a.ID), a.available
	return ledger.Command{
		Key:         ledger.NewKey("settlement/"+a.Code, turn),
		Fingerprint: ledger.Fingerprint("settlement", a.Code, turn),
		Kind:        ledger.KindSettlement,
		Accounts:    []ledger.AccountID{pending, available},
		Decide: func(v ledger.View) (ledger.Draft, error) {
			all := v.Account(pending)
			// Of what somebody holds there is no saying yet whose it will be, and a
			// document must add up to what moved.
			if all.Balance.Sign() <= 0 || !all.Held.IsZero() {
				return ledger.Draft{}, errNothing
			}
			return ledger.Transfer(pending, available, all.Balance, "")(v)
		},
	}
}

// join makes one error of what failed.
func join(failures map[uuid.UUID]error) error {
	return errors.Join(slices.Collect(maps.Values(failures))...)
}
