package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/id"
)

// Errors of rules.
var (
	// ErrRuleNotFound says that there is no limit with this id.
	ErrRuleNotFound = errors.New("limit not found")
	// ErrRuleInvalid says that a limit makes no sense: its zone isn't known, or
	// its parts don't go together.
	ErrRuleInvalid = errors.New("the limit is not valid")
)

const selectRules = `
SELECT id, scope, asset_id, measure, direction, period, zone, maximum, create_time, update_time
  FROM limit_rules WHERE delete_time IS NULL`

// rulesAt returns the rules as of a version or later. They are read, within the
// batch's transaction, only when they changed.
func (l *Ledger) rulesAt(ctx context.Context, conn *pgx.Conn, version int64) (*rules, error) {
	if known := l.rules.Load(); known != nil && known.version == version {
		return known, nil
	}
	list, err := readRules(ctx, conn)
	if err != nil {
		return nil, err
	}
	loaded, err := newRules(version, list)
	if err != nil {
		return nil, err
	}
	if loaded.meters, err = readMeters(ctx, conn); err != nil {
		return nil, err
	}
	l.rules.Store(loaded)
	return loaded, nil
}

// querier is a connection, a transaction or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readRules(ctx context.Context, q querier) ([]Rule, error) {
	rows, err := q.Query(ctx, selectRules+` ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("reading limits: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Rule])
	if err != nil {
		return nil, fmt.Errorf("reading limits: %w", err)
	}
	return list, nil
}

// Rules returns all limits, ordered by id.
func (l *Ledger) Rules(ctx context.Context) ([]Rule, error) { return readRules(ctx, l.pool) }

// SetRule adds a limit. If there is one that differs in nothing but its maximum,
// that changes instead, and before is how it was. What was counted counts on. It
// takes effect with tx, on all replicas at once, and fails with ErrRuleInvalid.
func SetRule(ctx context.Context, tx pgx.Tx, r Rule) (before *Rule, after Rule, err error) {
	if err := r.valid(); err != nil {
		return nil, Rule{}, fmt.Errorf("%w: %w", ErrRuleInvalid, err)
	}
	if r.Zone == time.Local.String() { // Go knows it by that name, differently on each machine
		return nil, Rule{}, fmt.Errorf("%w: the time zone %s depends on the machine", ErrRuleInvalid, r.Zone)
	}
	if err := openMeter(ctx, tx, &r); err != nil {
		return nil, Rule{}, err
	}
	if err := changeRules(ctx, tx); err != nil {
		return nil, Rule{}, err
	}
	old, err := oneRule(ctx, tx, selectRules+`
   AND scope = $1 AND asset_id = $2 AND measure = $3 AND direction = $4 AND period = $5 AND zone = $6`,
		r.Scope, r.Asset, r.Measure, r.Direction, r.Period, r.Zone)
	switch {
	case err == nil:
		after, err = oneRule(ctx, tx, `UPDATE limit_rules SET maximum = $2, update_time = now() WHERE id = $1
RETURNING id, scope, asset_id, measure, direction, period, zone, maximum, create_time, update_time`, old.ID, r.Maximum)
		return &old, after, err
	case !errors.Is(err, ErrRuleNotFound):
		return nil, Rule{}, err
	}
	after, err = oneRule(ctx, tx, `
INSERT INTO limit_rules (id, scope, asset_id, measure, direction, period, zone, maximum, create_time, update_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), now())
RETURNING id, scope, asset_id, measure, direction, period, zone, maximum, create_time, update_time`,
		id.New(), r.Scope, r.Asset, r.Measure, r.Direction, r.Period, r.Zone, r.Maximum)
	return nil, after, err
}

// valid tells whether a rule's parts make sense and go together.
func (r *Rule) valid() error {
	calendar := r.Period == PerDay || r.Period == PerMonth
	switch {
	case r.Direction != Outgoing && r.Direction != Incoming:
		return fmt.Errorf("no direction %q", r.Direction)
	case !calendar && r.Period != PerTransaction && r.Period != PerLifetime:
		return fmt.Errorf("no period %q", r.Period)
	case r.Zone == "" || r.Zone == "Local" || !calendar && r.Zone != "UTC":
		return fmt.Errorf("the zone %q for a %s", r.Zone, r.Period)
	case r.Maximum.Sign() < 0:
		return fmt.Errorf("a maximum of %s", r.Maximum)
	case metered(r.Scope) && (r.Direction != Incoming || r.Measure == MeasureBalance):
		return errors.New("a terminal has no money: only what is sold there is bounded, as incoming")
	}
	switch r.Measure {
	case MeasureAmount:
	case MeasureCount:
		if r.Period == PerTransaction {
			return errors.New("a number of transactions per transaction")
		}
	case MeasureBalance:
		if r.Direction != Incoming || r.Period != PerTransaction {
			return errors.New("a balance is bounded by what comes in, per transaction")
		}
	default:
		return fmt.Errorf("no measure %q", r.Measure)
	}
	_, err := time.LoadLocation(r.Zone)
	return err
}

// DeleteRule ends a limit, or fails with ErrRuleNotFound.
func DeleteRule(ctx context.Context, tx pgx.Tx, rule uuid.UUID) (Rule, error) {
	if err := changeRules(ctx, tx); err != nil {
		return Rule{}, err
	}
	return oneRule(ctx, tx, `UPDATE limit_rules SET delete_time = now() WHERE id = $1 AND delete_time IS NULL
RETURNING id, scope, asset_id, measure, direction, period, zone, maximum, create_time, update_time`, rule)
}

// changeRules makes all batches that begin after tx read the rules again. Changes
// wait for one another.
func changeRules(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `UPDATE limit_version SET version = version + 1`); err != nil {
		return fmt.Errorf("changing limits: %w", err)
	}
	return nil
}

func oneRule(ctx context.Context, tx pgx.Tx, query string, args ...any) (Rule, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return Rule{}, fmt.Errorf("changing limits: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Rule])
	if errors.Is(err, pgx.ErrNoRows) {
		return Rule{}, ErrRuleNotFound
	}
	if err != nil {
		return Rule{}, fmt.Errorf("changing limits: %w", err)
	}
	return r, nil
}

// RuleUsage is a rule and how much of it is used.
type RuleUsage struct {
	Rule            Rule
	Used, Remaining Amount
	Resets          time.Time // when counting begins anew; zero for never
}

// Usage returns the limits of an account with what is used of them now. An
// account that isn't open yet has used nothing; asset is its asset.
func (l *Ledger) Usage(ctx context.Context, code string, asset AssetID) ([]RuleUsage, error) {
	list, err := l.Rules(ctx)
	if err != nil {
		return nil, err
	}
	all, err := newRules(0, list)
	if err != nil {
		return nil, err
	}
	var balance Amount
	var stored []byte
	var tier int16
	var now time.Time
	err = l.pool.QueryRow(ctx, `
SELECT coalesce(a.balance, 0), a.usage, coalesce(a.tier, o.tier, 0), clock_timestamp()
  FROM (VALUES ($1::text, $2::text)) w (code, owner)
  LEFT JOIN accounts a ON a.code = w.code
  LEFT JOIN owners o ON o.code = w.owner`, code, ownerName(code)).Scan(&balance, &stored, &tier, &now)
	if err != nil {
		return nil, fmt.Errorf("reading the usage of limits: %w", err)
	}
	u, err := parseUsage(stored)
	if err != nil {
		return nil, err
	}
	var usages []RuleUsage
	for _, rules := range all.of(code, asset, tier) {
		for i := range rules {
			r := &rules[i]
			used, resets := r.used(u, balance, now, all.zones)
			usages = append(usages, RuleUsage{Rule: *r, Used: used, Remaining: r.remaining(used), Resets: resets})
		}
	}
	return usages, nil
}
