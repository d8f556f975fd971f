package money

import (
	"context"
	"errors"
	"time"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// ExplainLimit turns a ledger.LimitError into LIMIT_EXCEEDED with metadata that
// says which limit it is, what is left of it and when it resets. It returns
// every other error as it is. Use it only where the account is the caller's, or
// the caller an operator: the numbers are nobody else's business.
func ExplainLimit(ctx context.Context, books *ledger.Ledger, err error) error {
	limit, ok := errors.AsType[*ledger.LimitError](err)
	if !ok {
		return err
	}
	asset, findErr := books.AssetByID(ctx, limit.Rule.Asset)
	if findErr != nil {
		return err
	}
	show := func(a ledger.Amount) string {
		if limit.Rule.Measure == ledger.MeasureCount {
			return a.String()
		}
		return a.Decimal(asset.Exponent)
	}
	e := rpc.NewError(errorv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED,
		"The limit on the %s of %s money %s is %s %s; %s is left.", string(limit.Rule.Measure), string(limit.Rule.Direction),
		periods[limit.Rule.Period], show(limit.Rule.Maximum), asset.Code, show(limit.Remaining)).
		WithMetadata("limit_id", id.Format(id.Limit, limit.Rule.ID)).
		WithMetadata("measure", string(limit.Rule.Measure)).
		WithMetadata("direction", string(limit.Rule.Direction)).
		WithMetadata("period", string(limit.Rule.Period)).
		WithMetadata("asset", asset.Code).
		WithMetadata("maximum", show(limit.Rule.Maximum)).
		WithMetadata("used", show(limit.Used)).
		WithMetadata("remaining", show(limit.Remaining)).
		WithCause(err)
	if !limit.Resets.IsZero() {
		e = e.WithMetadata("reset_time", limit.Resets.Format(time.RFC3339))
	}
	return e
}

var periods = map[ledger.Period]string{
	ledger.PerTransaction: "at a time",
	ledger.PerDay:         "a day",
	ledger.PerMonth:       "a month",
	ledger.PerLifetime:    "in all",
}
