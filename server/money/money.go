package money

import (
	"context"
	"errors"
	"strconv"
	"strings"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/ledger"
)

// Value is an exact amount and what it is an amount of.
type Value struct {
	Asset  ledger.Asset
	Amount ledger.Amount
}

// Parse reads money from a request. Path leads to the message in the request,
// such as "postings[2].amount". It fails with ASSET_NOT_FOUND,
// AMOUNT_TOO_PRECISE, AMOUNT_OUT_OF_RANGE or, for what is no decimal number,
// INVALID_ARGUMENT.
func Parse(ctx context.Context, books *ledger.Ledger, m *moneyv1.Money, path string) (Value, error) {
	asset, err := find(ctx, books, m.GetAsset())
	if err != nil {
		return Value{}, refuseAsset(err, path+".asset")
	}
	amount, err := ledger.ParseDecimal(m.GetAmount(), asset.Exponent)
	if err != nil {
		return Value{}, refuseAmount(err, asset, path+".amount")
	}
	return Value{Asset: asset, Amount: amount}, nil
}

// ParsePositive is Parse for money that is to be moved: it fails with
// AMOUNT_NOT_POSITIVE as well.
func ParsePositive(ctx context.Context, books *ledger.Ledger, m *moneyv1.Money, path string) (Value, error) {
	v, err := Parse(ctx, books, m, path)
	if err != nil {
		return Value{}, err
	}
	if v.Amount.Sign() <= 0 {
		return Value{}, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_AMOUNT_NOT_POSITIVE,
			"The amount must be greater than zero.").
			WithField(path+".amount", "must be greater than zero")
	}
	return v, nil
}

// Asset finds an asset by the code that a client gave in the field at path, or
// fails with ASSET_NOT_FOUND.
func Asset(ctx context.Context, books *ledger.Ledger, code, path string) (ledger.Asset, error) {
	asset, err := find(ctx, books, code)
	if err != nil {
		return ledger.Asset{}, refuseAsset(err, path)
	}
	return asset, nil
}

// find asks the database only for what can be a code: it would choke on a zero
// byte.
func find(ctx context.Context, books *ledger.Ledger, code string) (ledger.Asset, error) {
	if !isAssetCode(code) {
		return ledger.Asset{}, ledger.ErrAssetNotFound
	}
	return books.Asset(ctx, code)
}

func refuseAsset(err error, path string) error {
	if !errors.Is(err, ledger.ErrAssetNotFound) {
		return err
	}
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ASSET_NOT_FOUND, "There is no such asset.").
		WithField(path, "must be the code of an asset").WithCause(err)
}

// Format writes an amount of an asset with exactly the asset's decimals.
func Format(asset ledger.Asset, amount ledger.Amount) *moneyv1.Money {
	return &moneyv1.Money{Asset: asset.Code, Amount: amount.Decimal(asset.Exponent)}
}

func refuseAmount(err error, asset ledger.Asset, path string) error {
	switch {
	case errors.Is(err, ledger.ErrTooPrecise):
		rule := "must have no decimals"
		if asset.Exponent > 0 {
			rule = "must have at most " + strconv.Itoa(asset.Exponent) + " decimals"
		}
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_AMOUNT_TOO_PRECISE,
			"The amount has more decimals than %s has.", asset.Code).WithField(path, rule).WithCause(err)
	case errors.Is(err, ledger.ErrAmountRange):
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_AMOUNT_OUT_OF_RANGE,
			"The amount has more than %d digits.", ledger.MaxDigits).
			WithField(path, "must have at most 38 digits, decimals included").WithCause(err)
	default:
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
			"The amount is not a decimal number.").
			WithField(path, `must be a decimal number such as "12.50"`).WithCause(err)
	}
}

// isAssetCode tells whether code has the form that the schema demands.
func isAssetCode(code string) bool {
	if len(code) < 2 || len(code) > 12 || code[0] < 'A' || code[0] > 'Z' {
		return false
	}
	return strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}
