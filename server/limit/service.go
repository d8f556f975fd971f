package limit

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// Deps is what the service works with.
type Deps struct {
	// Store keeps the limits and the record of their changes.
	Store *store.Store
	// Ledger keeps to the limits.
	Ledger *ledger.Ledger
}

// Service implements LimitService.
type Service struct {
	store *store.Store
	books *ledger.Ledger
}

var _ limitv1connect.LimitServiceHandler = (*Service)(nil)

// New returns the service. It starts nothing and needs no closing.
func New(deps Deps) *Service { return &Service{store: deps.Store, books: deps.Ledger} }

// SetLimit adds a limit or changes its maximum.
func (s *Service) SetLimit(ctx context.Context, req *limitv1.SetLimitRequest) (*limitv1.SetLimitResponse, error) {
	rule, asset, err := s.parse(ctx, req.GetLimit())
	if err != nil {
		return nil, err
	}
	var after ledger.Rule
	err = s.store.InTx(ctx, func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		var before *ledger.Rule
		var err error
		if before, after, err = ledger.SetRule(ctx, tx, rule); err != nil {
			return err
		}
		return record(ctx, tx, "limit.set", asset, before, &after)
	})
	if err != nil {
		return nil, err
	}
	return &limitv1.SetLimitResponse{Limit: money.LimitMessage(asset, &after)}, nil
}

// DeleteLimit ends a limit.
func (s *Service) DeleteLimit(ctx context.Context, req *limitv1.DeleteLimitRequest) (*limitv1.DeleteLimitResponse, error) {
	rule, err := id.Parse(id.Limit, req.GetLimitId())
	if err != nil {
		return nil, ledger.ErrRuleNotFound
	}
	err = s.store.InTx(ctx, func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		ended, err := ledger.DeleteRule(ctx, tx, rule)
		if err != nil {
			return err
		}
		asset, err := s.books.AssetByID(ctx, ended.Asset)
		if err != nil {
			return err
		}
		return record(ctx, tx, "limit.deleted", asset, &ended, nil)
	})
	if err != nil {
		return nil, err
	}
	return &limitv1.DeleteLimitResponse{}, nil
}

// ListLimits lists the limits. They are few: all are read and a page cut out.
func (s *Service) ListLimits(ctx context.Context, req *limitv1.ListLimitsRequest) (*limitv1.ListLimitsResponse, error) {
	kind := rpc.PageKind(limitv1connect.LimitServiceListLimitsProcedure, req.GetAsset())
	var after uuid.UUID
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &after); err != nil {
			return nil, err
		}
	}
	var only ledger.Asset
	if code := req.GetAsset(); code != "" {
		var err error
		if only, err = money.Asset(ctx, s.books, code, "asset"); err != nil {
			return nil, err
		}
	}
	rules, err := s.books.Rules(ctx)
	if err != nil {
		return nil, err
	}
	size := rpc.PageSize(req.GetPageSize())
	res := &limitv1.ListLimitsResponse{}
	var last uuid.UUID
	for i := range rules {
		r := &rules[i]
		if r.ID.String() <= after.String() && after != uuid.Nil || only.Code != "" && r.Asset != only.ID {
			continue
		}
		if len(res.GetLimits()) == size {
			res.NextPageToken = rpc.EncodePageToken(kind, last)
			break
		}
		asset, err := s.books.AssetByID(ctx, r.Asset)
		if err != nil {
			return nil, err
		}
		res.Limits, last = append(res.GetLimits(), money.LimitMessage(asset, r)), r.ID
	}
	return res, nil
}

// GetUsage returns the limits of an account.
func (s *Service) GetUsage(ctx context.Context, req *limitv1.GetUsageRequest) (*limitv1.GetUsageResponse, error) {
	account, err := s.books.Account(ctx, req.GetAccount())
	if err != nil {
		return nil, err
	}
	asset, err := s.books.AssetByID(ctx, account.Asset)
	if err != nil {
		return nil, err
	}
	usages, err := s.books.Usage(ctx, account.Code, account.Asset)
	if err != nil {
		return nil, err
	}
	res := &limitv1.GetUsageResponse{}
	for i := range usages {
		res.Usages = append(res.GetUsages(), money.LimitUsageMessage(asset, &usages[i]))
	}
	return res, nil
}

// parse reads a limit from a request. What goes together was validated.
func (s *Service) parse(ctx context.Context, l *limitv1.Limit) (ledger.Rule, ledger.Asset, error) {
	asset, err := money.Asset(ctx, s.books, l.GetAsset(), "limit.asset")
	if err != nil {
		return ledger.Rule{}, asset, err
	}
	rule := ledger.Rule{
		Scope: money.ScopeOf(l.GetScope()), Asset: asset.ID, Measure: money.Measures[l.GetMeasure()],
		Direction: money.Directions[l.GetDirection()], Period: money.Periods[l.GetPeriod()], Zone: "UTC",
	}
	if zone := l.GetTimeZone(); zone != "" && (rule.Period == ledger.PerDay || rule.Period == ledger.PerMonth) {
		rule.Zone = zone
	}
	if rule.Measure == ledger.MeasureCount {
		rule.Maximum = ledger.NewAmount(l.GetMaximumCount())
		return rule, asset, nil
	}
	value, err := money.Parse(ctx, s.books, l.GetMaximumAmount(), "limit.maximum_amount")
	switch {
	case err != nil:
		return ledger.Rule{}, asset, err
	case value.Asset.ID != asset.ID:
		return ledger.Rule{}, asset, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The maximum is of another asset than the limit.").
			WithField("limit.maximum_amount.asset", "must be the limit's asset")
	case value.Amount.Sign() < 0:
		return ledger.Rule{}, asset, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The maximum is less than zero.").
			WithField("limit.maximum_amount.amount", "must be zero or more")
	}
	rule.Maximum = value.Amount
	return rule, asset, nil
}

// record keeps who changed a limit, from what to what; nil stands for none.
func record(ctx context.Context, tx pgx.Tx, action string, asset ledger.Asset, before, after *ledger.Rule) error {
	subject, details := after, map[string]any{}
	if after == nil {
		subject = before
	}
	for name, r := range map[string]*ledger.Rule{"before": before, "after": after} {
		if r != nil {
			details[name] = r.Maximum.String()
		}
	}
	details["asset"], details["scope"] = asset.Code, subject.Scope
	details["measure"], details["direction"] = subject.Measure, subject.Direction
	details["period"], details["zone"] = subject.Period, subject.Zone
	return audit.Insert(ctx, tx, audit.New(
		audit.Actor{Kind: audit.Operator, ID: rpc.PrincipalFrom(ctx).Operator},
		action, "limit/"+id.Format(id.Limit, subject.ID), details).From(rpc.Origin(ctx)))
}
