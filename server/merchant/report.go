package merchant

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

const (
	dateForm = "2006-01-02"
	// firstYear is before there were any sales.
	firstYear = 2020
)

var errDate = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_DATE_INVALID, "The date is not a day of the calendar, or lies too far away.").
	WithField("date", "must be a day of the calendar from the year 2020 on, and at most one day ahead")

// totals sums what happened in one asset up.
type totals struct {
	count int
	sums
}

// add counts what happened.
func (t *totals) add(h *happening) error {
	if !h.refund && !h.more {
		t.count++
	}
	for _, x := range []struct {
		into *ledger.Amount
		more ledger.Amount
	}{{&t.gross, h.gross}, {&t.tips, h.tip}, {&t.refunded, h.refunded}, {&t.fees, h.fee}, {&t.net, h.net}} {
		sum, err := x.into.Add(x.more)
		if err != nil {
			return err
		}
		*x.into = sum
	}
	return nil
}

func (t *totals) message(asset ledger.Asset) *merchantv1.Totals {
	return &merchantv1.Totals{
		Count: uint32(t.count), Gross: money.Format(asset, t.gross), Tips: money.Format(asset, t.tips),
		Refunds: money.Format(asset, t.refunded), Fees: money.Format(asset, t.fees), Net: money.Format(asset, t.net),
	}
}

// corner is whose totals a line of a report has.
type corner struct {
	store, terminal, user string
	asset                 ledger.Asset
}

func cornerOf(h *happening) corner {
	return corner{
		store: id.Format(id.Store, h.store), terminal: formatAny(id.Terminal, h.terminal), user: formatAny(id.User, h.user), asset: h.asset,
	}
}

func (c corner) compare(d corner) int {
	return cmp.Or(cmp.Compare(c.store, d.store), cmp.Compare(c.terminal, d.terminal), cmp.Compare(c.user, d.user), cmp.Compare(c.asset.Code, d.asset.Code))
}

// total sums all that is selected up, per corner.
func (s *Service) total(ctx context.Context, of *selection) (map[corner]*totals, error) {
	all := make(map[corner]*totals)
	err := s.each(ctx, of, func(h *happening) error {
		c := cornerOf(h)
		if all[c] == nil {
			all[c] = &totals{}
		}
		return all[c].add(h)
	})
	return all, err
}

// perAsset sums corners up, in the order of the assets' codes.
func perAsset(corners map[corner]*totals) ([]*merchantv1.Totals, error) {
	sums := make(map[ledger.Asset]*totals)
	for c, t := range corners {
		if sums[c.asset] == nil {
			sums[c.asset] = &totals{}
		}
		sum := sums[c.asset]
		sum.count += t.count - 1 // add counts one
		err := sum.add(&happening{gross: t.gross, tip: t.tips, refunded: t.refunded, fee: t.fees, net: t.net})
		if err != nil {
			return nil, err
		}
	}
	var list []*merchantv1.Totals
	for _, asset := range slices.SortedFunc(maps.Keys(sums), func(a, b ledger.Asset) int { return cmp.Compare(a.Code, b.Code) }) {
		list = append(list, sums[asset].message(asset))
	}
	return list, nil
}

// dayRequest is what both reports of a day ask for.
type dayRequest interface {
	GetDate() string
	GetStoreId() string
}

// day finds what a day's report is about: from midnight to midnight in the merchant's
// time zone, which isn't always 24 hours. It fails with DATE_INVALID or NOT_FOUND.
func (s *Service) day(ctx context.Context, m member, req dayRequest) (*selection, *time.Location, error) {
	found, err := s.store.Queries().GetMerchant(ctx, store.GetMerchantParams{ID: m.merchant, UserID: m.user})
	if err != nil {
		return nil, nil, err
	}
	zone, err := parseZone(found.Merchant.TimeZone)
	if err != nil {
		return nil, nil, err
	}
	date, err := time.Parse(dateForm, req.GetDate())
	if err != nil {
		return nil, nil, errDate.WithCause(err)
	}
	today := civil{date.Year(), date.Month(), date.Day()}
	tomorrow := civil{date.Year(), date.Month(), date.Day() + 1}
	of := &selection{merchant: m.merchant, start: today.at(0, zone), end: tomorrow.at(0, zone)}
	if date.Year() < firstYear || of.start.After(s.now().Add(24*time.Hour)) {
		return nil, nil, errDate
	}
	if text := req.GetStoreId(); text != "" {
		at, err := s.findStore(ctx, m.merchant, text)
		if err != nil {
			return nil, nil, err
		}
		of.store = &at
	}
	return of, zone, nil
}

// dayReport sums a day up.
func (s *Service) dayReport(ctx context.Context, m member, req *merchantv1.GetDayReportRequest) (*merchantv1.GetDayReportResponse, error) {
	of, _, err := s.day(ctx, m, req)
	if err != nil {
		return nil, err
	}
	corners, err := s.total(ctx, of)
	if err != nil {
		return nil, err
	}
	res := &merchantv1.GetDayReportResponse{StartTime: timestamppb.New(of.start), EndTime: timestamppb.New(of.end)}
	for _, c := range slices.SortedFunc(maps.Keys(corners), corner.compare) {
		res.Lines = append(res.GetLines(), &merchantv1.ReportLine{
			StoreId: c.store, TerminalId: c.terminal, UserId: c.user, Totals: corners[c].message(c.asset),
		})
	}
	res.Totals, err = perAsset(corners)
	return res, err
}

// shiftTotals sums up what happened in a shift: at its terminal or, without one, what
// its user sold at the store without one.
func (s *Service) shiftTotals(ctx context.Context, r *store.Shift) ([]*merchantv1.Totals, error) {
	of := &selection{merchant: r.MerchantID, start: r.OpenTime, end: s.now().Add(time.Minute), store: &r.StoreID, terminal: r.TerminalID}
	if r.CloseTime != nil {
		of.end = *r.CloseTime
	}
	if r.TerminalID == nil {
		of.counterUser = &r.UserID
	}
	corners, err := s.total(ctx, of)
	if err != nil {
		return nil, err
	}
	return perAsset(corners)
}
