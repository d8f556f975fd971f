package merchant

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

var (
	errFeePlan = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_FEE_PLAN_INVALID, "The fee plan makes no sense.")
	errNoPlan  = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such fee plan.").
			WithField("fee_plan", "must be the name of a fee plan")
	errNoMerchant = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such merchant.").
			WithField("merchant_id", "must be the id of a merchant")
)

// feeRate is what is kept of payments in one asset.
type feeRate struct {
	fixed       money.Value
	basisPoints uint32
}

// parseRates reads a plan. It fails with ASSET_NOT_FOUND, AMOUNT_TOO_PRECISE,
// AMOUNT_OUT_OF_RANGE or FEE_PLAN_INVALID.
func (s *Service) parseRates(ctx context.Context, plan *merchantv1.FeePlan) ([]feeRate, error) {
	rates := make([]feeRate, 0, len(plan.GetRates()))
	known := make(map[ledger.AssetID]bool)
	for i, r := range plan.GetRates() {
		path := fmt.Sprintf("fee_plan.rates[%d].fixed", i)
		fixed, err := money.Parse(ctx, s.ledger, r.GetFixed(), path)
		switch {
		case err != nil:
			return nil, err
		case fixed.Amount.Sign() < 0:
			return nil, errFeePlan.WithField(path+".amount", "must be zero or more")
		case known[fixed.Asset.ID]:
			return nil, errFeePlan.WithField(path+".asset", "must have one rate only")
		}
		known[fixed.Asset.ID] = true
		rates = append(rates, feeRate{fixed: fixed, basisPoints: r.GetBasisPoints()})
	}
	return rates, nil
}

// setFeePlan makes or replaces a plan. The lock on its row makes one replacement wait
// for another.
func (s *Service) setFeePlan(ctx context.Context, plan *merchantv1.FeePlan) (*merchantv1.FeePlan, error) {
	rates, err := s.parseRates(ctx, plan)
	if err != nil {
		return nil, err
	}
	details := make(map[string]string, len(rates))
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, tx pgx.Tx) error {
		if err := q.UpsertFeePlan(ctx, plan.GetName()); err != nil {
			return fmt.Errorf("writing a fee plan: %w", err)
		}
		if err := q.DeleteFeeRates(ctx, plan.GetName()); err != nil {
			return fmt.Errorf("writing a fee plan: %w", err)
		}
		for _, r := range rates {
			err := q.InsertFeeRate(ctx, store.InsertFeeRateParams{
				Plan: plan.GetName(), AssetID: int16(r.fixed.Asset.ID), BasisPoints: int32(r.basisPoints), Fixed: r.fixed.Amount.String(),
			})
			if err != nil {
				return fmt.Errorf("writing a fee plan: %w", err)
			}
			details[r.fixed.Asset.Code] = fmt.Sprintf("%d bp + %s", r.basisPoints, r.fixed.Amount.Decimal(r.fixed.Asset.Exponent))
		}
		return record(ctx, tx, "fee_plan.set", "fee_plan/"+plan.GetName(), details)
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.showFeePlans(ctx, []string{plan.GetName()})
	if err != nil {
		return nil, err
	}
	return shown[0], nil
}

func (s *Service) listFeePlans(ctx context.Context, req *merchantv1.ListFeePlansRequest) (shown []*merchantv1.FeePlan, next string, err error) {
	kind, size, after := rpc.PageKind(merchantv1connect.MerchantServiceListFeePlansProcedure), rpc.PageSize(req.GetPageSize()), ""
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &after); err != nil {
			return nil, "", err
		}
	}
	names, err := s.store.Queries().ListFeePlans(ctx, store.ListFeePlansParams{AfterName: after, MaxRows: int32(size) + 1})
	if err != nil {
		return nil, "", fmt.Errorf("listing fee plans: %w", err)
	}
	if len(names) > size {
		names = names[:size]
		next = rpc.EncodePageToken(kind, names[size-1])
	}
	shown, err = s.showFeePlans(ctx, names)
	return shown, next, err
}

// showFeePlans shows plans in the order of their names.
func (s *Service) showFeePlans(ctx context.Context, names []string) ([]*merchantv1.FeePlan, error) {
	rates, err := s.store.Queries().ListFeeRates(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("listing fee rates: %w", err)
	}
	shown := make([]*merchantv1.FeePlan, len(names))
	place := make(map[string]*merchantv1.FeePlan, len(names))
	for i, name := range names {
		shown[i] = &merchantv1.FeePlan{Name: name}
		place[name] = shown[i]
	}
	for i := range rates {
		fixed, err := s.money(ctx, rates[i].AssetID, rates[i].Fixed)
		if err != nil {
			return nil, err
		}
		plan := place[rates[i].Plan]
		plan.Rates = append(plan.GetRates(), &merchantv1.FeeRate{BasisPoints: uint32(rates[i].BasisPoints), Fixed: fixed})
	}
	return shown, nil
}

// assignFeePlan puts a merchant on a plan.
func (s *Service) assignFeePlan(ctx context.Context, req *merchantv1.AssignFeePlanRequest) error {
	merchant, err := id.Parse(id.Merchant, req.GetMerchantId())
	if err != nil {
		return errNoMerchant.WithCause(err)
	}
	return s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, tx pgx.Tx) error {
		_, err := q.GetFeePlan(ctx, req.GetFeePlan())
		if errors.Is(err, pgx.ErrNoRows) {
			return errNoPlan.WithCause(err)
		}
		if err != nil {
			return fmt.Errorf("reading a fee plan: %w", err)
		}
		before, err := q.AssignFeePlan(ctx, store.AssignFeePlanParams{ID: merchant, Plan: req.GetFeePlan()})
		if errors.Is(err, pgx.ErrNoRows) {
			return errNoMerchant.WithCause(err)
		}
		if err != nil {
			return fmt.Errorf("assigning a fee plan: %w", err)
		}
		details := map[string]string{"after": req.GetFeePlan()}
		if before != nil {
			details["before"] = *before
		}
		return record(ctx, tx, "merchant.fee_plan_assigned", money.MerchantScope(merchant), details)
	})
}

// record keeps what an operator changed.
func record(ctx context.Context, tx pgx.Tx, action, subject string, details map[string]string) error {
	return audit.Insert(ctx, tx, audit.New(
		audit.Actor{Kind: audit.Operator, ID: rpc.PrincipalFrom(ctx).Operator},
		action, subject, details).From(rpc.Origin(ctx)))
}
