package money

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// Measures, Directions and Periods are the ledger's words for those of the API.
var (
	Measures = map[limitv1.Measure]ledger.Measure{
		limitv1.Measure_MEASURE_AMOUNT:  ledger.MeasureAmount,
		limitv1.Measure_MEASURE_COUNT:   ledger.MeasureCount,
		limitv1.Measure_MEASURE_BALANCE: ledger.MeasureBalance,
	}
	Directions = map[limitv1.Direction]ledger.Direction{
		limitv1.Direction_DIRECTION_OUTGOING: ledger.Outgoing,
		limitv1.Direction_DIRECTION_INCOMING: ledger.Incoming,
	}
	Periods = map[limitv1.Period]ledger.Period{
		limitv1.Period_PERIOD_TRANSACTION: ledger.PerTransaction,
		limitv1.Period_PERIOD_DAY:         ledger.PerDay,
		limitv1.Period_PERIOD_MONTH:       ledger.PerMonth,
		limitv1.Period_PERIOD_LIFETIME:    ledger.PerLifetime,
	}
)

// keyOf returns the key of a value; the zero key if there is none.
func keyOf[K, V comparable](m map[K]V, value V) (key K) {
	for k, v := range m {
		if v == value {
			return k
		}
	}
	return key
}

// LimitMessage shows a limit of an asset.
func LimitMessage(asset ledger.Asset, r *ledger.Rule) *limitv1.Limit {
	shown := &limitv1.Limit{
		LimitId: id.Format(id.Limit, r.ID), Scope: scopeMessage(r.Scope), Asset: asset.Code,
		Measure: keyOf(Measures, r.Measure), Direction: keyOf(Directions, r.Direction), Period: keyOf(Periods, r.Period),
		TimeZone: r.Zone, CreateTime: timestamppb.New(r.CreateTime), UpdateTime: timestamppb.New(r.UpdateTime),
	}
	if r.Measure == ledger.MeasureCount {
		shown.Maximum = &limitv1.Limit_MaximumCount{MaximumCount: count(r.Maximum)}
	} else {
		shown.Maximum = &limitv1.Limit_MaximumAmount{MaximumAmount: Format(asset, r.Maximum)}
	}
	return shown
}

// LimitUsageMessage shows a limit of an asset with what is used of it.
func LimitUsageMessage(asset ledger.Asset, u *ledger.RuleUsage) *limitv1.LimitUsage {
	shown := &limitv1.LimitUsage{Limit: LimitMessage(asset, &u.Rule)}
	if u.Rule.Measure == ledger.MeasureCount {
		shown.Used = &limitv1.LimitUsage_UsedCount{UsedCount: count(u.Used)}
		shown.Remaining = &limitv1.LimitUsage_RemainingCount{RemainingCount: count(u.Remaining)}
	} else {
		shown.Used = &limitv1.LimitUsage_UsedAmount{UsedAmount: Format(asset, u.Used)}
		shown.Remaining = &limitv1.LimitUsage_RemainingAmount{RemainingAmount: Format(asset, u.Remaining)}
	}
	if !u.Resets.IsZero() {
		shown.ResetTime = timestamppb.New(u.Resets)
	}
	return shown
}

// count is a number of transactions, which has fewer than 19 digits.
func count(a ledger.Amount) int64 {
	n, _ := strconv.ParseInt(a.String(), 10, 64)
	return n
}

func scopeMessage(scope string) *limitv1.Scope {
	class, name, _ := strings.Cut(scope, "/")
	switch class {
	case "tier":
		tier, _ := strconv.Atoi(name)
		return &limitv1.Scope{Scope: &limitv1.Scope_Tier{Tier: int32(tier)}}
	case ClassUser:
		return &limitv1.Scope{Scope: &limitv1.Scope_UserId{UserId: name}}
	case "merchant":
		return &limitv1.Scope{Scope: &limitv1.Scope_MerchantId{MerchantId: name}}
	case "terminal":
		return &limitv1.Scope{Scope: &limitv1.Scope_TerminalId{TerminalId: name}}
	default:
		return &limitv1.Scope{Scope: &limitv1.Scope_Everyone{Everyone: true}}
	}
}

// ScopeOf is the ledger's name of a scope.
func ScopeOf(s *limitv1.Scope) string {
	switch s.GetScope().(type) {
	case *limitv1.Scope_Tier:
		return ledger.TierScope(int(s.GetTier()))
	case *limitv1.Scope_UserId:
		return ClassUser + "/" + s.GetUserId()
	case *limitv1.Scope_MerchantId:
		return "merchant/" + s.GetMerchantId()
	case *limitv1.Scope_TerminalId:
		return "terminal/" + s.GetTerminalId()
	default:
		return ledger.ScopeEveryone
	}
}
