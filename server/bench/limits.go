package bench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// threeLimits are the rules that a limited transfer is checked against: of one
// transaction, of a day and of a month, for everyone, and never reached.
func threeLimits(asset ledger.AssetID) []ledger.Rule {
	rules := []ledger.Rule{
		{Measure: ledger.MeasureAmount, Period: ledger.PerTransaction},
		{Measure: ledger.MeasureAmount, Period: ledger.PerDay},
		{Measure: ledger.MeasureCount, Period: ledger.PerMonth},
	}
	for i := range rules {
		r := &rules[i]
		r.Scope, r.Asset, r.Direction, r.Zone = ledger.ScopeEveryone, asset, ledger.Outgoing, "UTC"
		r.Maximum = ledger.NewAmount(1_000_000_000_00)
	}
	return rules
}

func (b *books) setLimits(ctx context.Context) error {
	return pgx.BeginFunc(ctx, b.db.owner, func(tx pgx.Tx) error {
		for _, r := range threeLimits(b.asset) {
			if _, _, err := ledger.SetRule(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// endLimits deletes all rules, those that every database begins with too.
func (b *books) endLimits(ctx context.Context) error {
	rules, err := b.ledger.Rules(ctx)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, b.db.owner, func(tx pgx.Tx) error {
		for _, r := range rules {
			if _, err := ledger.DeleteRule(ctx, tx, r.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// openLimited opens accounts of their own for transfers with limits, since an
// account that has counted once goes on counting until the window is over. Each
// counts a first transfer, so that what is measured is not the first.
func (b *books) openLimited(ctx context.Context, cfg Config) error {
	codes := make([]string, cfg.Accounts)
	for i := range codes {
		codes[i] = mainCode(id.New())
	}
	var err error
	if b.limited, err = b.open(ctx, codes); err != nil {
		return err
	}
	if err := b.fund(ctx, cfg, b.limited); err != nil {
		return err
	}
	return b.underLimits(ctx, func() error {
		return forEach(cfg.Callers, len(b.limited), func(i int) error {
			return b.limitedTransfer(ctx, b.limited[i], b.limited[(i+1)%len(b.limited)])
		})
	})
}

// underLimits does something while there are limits.
func (b *books) underLimits(ctx context.Context, do func() error) error {
	if err := b.setLimits(ctx); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return b.endLimits(ctx)
}

func (b *books) limitedTransfer(ctx context.Context, from, to ledger.AccountID) error {
	command := transferCommand(from, to, someCents(), ledger.KindTransfer)
	command.Counted = true
	r, err := b.commit(ctx, command)
	if err == nil && !r.Transaction.Counted {
		return fmt.Errorf("transaction %s was not counted", r.Transaction.ID)
	}
	return err
}

// limits measures transfers that three rules are checked for.
func (b *books) limits(ctx context.Context, cfg Config) (s sample, err error) {
	err = b.underLimits(ctx, func() error {
		s, err = b.measure(ctx, cfg, cfg.Callers, func() error {
			from, to := pick(b.limited, false)
			return b.limitedTransfer(ctx, from, to)
		})
		return err
	})
	return s, err
}
