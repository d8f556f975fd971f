package merchant

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/qr"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

const (
	// noCategory is the category of a merchant that doesn't say.
	noCategory = "0000"
	// tier is that of merchants: the limits of lower tiers are for people.
	tier = ledger.MaxTier
)

// createRule bounds how fast a user makes merchants: ten at once, then one an hour.
var createRule = rate.Rule{Name: "merchant.create", Per: time.Hour, Burst: 10}

func invalid(field, rule string) *rpc.Error {
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The %s is not valid.", strings.ReplaceAll(field, "_", " ")).
		WithField(field, rule)
}

// createMerchant adds a merchant with the user as its owner, once for a key.
func (s *Service) createMerchant(ctx context.Context, user uuid.UUID, req *merchantv1.CreateMerchantRequest) (*merchantv1.Merchant, error) {
	row, err := s.newMerchant(user, req)
	if err != nil {
		return nil, err
	}
	if err := s.limiter.Allow(ctx, createRule, user.String()); err != nil {
		return nil, err
	}
	made := uuid.Nil
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, tx pgx.Tx) error {
		var fresh bool
		made, fresh, err = once([32]byte(row.Fingerprint),
			func() (uuid.UUID, error) { return q.InsertMerchant(ctx, row) },
			func() (uuid.UUID, []byte, error) {
				known, err := q.FindMerchantByKey(ctx, row.KeyHash)
				return known.ID, known.Fingerprint, err
			})
		if err != nil || !fresh {
			return err
		}
		if _, err := ledger.SetTier(ctx, tx, money.MerchantScope(made), tier); err != nil {
			return err
		}
		return q.AddStaff(ctx, store.AddStaffParams{MerchantID: made, UserID: user, Role: int16(staff.Owner)})
	})
	if err != nil {
		return nil, err
	}
	return s.merchant(ctx, made, user)
}

// newMerchant reads a request for a merchant.
func (s *Service) newMerchant(user uuid.UUID, req *merchantv1.CreateMerchantRequest) (store.InsertMerchantParams, error) {
	m := store.InsertMerchantParams{
		ID: id.New(), OwnerID: user, Name: strings.TrimSpace(req.GetName()), Country: req.GetCountry(), City: strings.TrimSpace(req.GetCity()),
		CategoryCode: req.GetCategoryCode(), TimeZone: req.GetTimeZone(), KeyHash: uuid.UUID(ledger.NewKey(money.UserScope(user)+"/merchants", req.GetIdempotencyKey())),
	}
	if m.CategoryCode == "" {
		m.CategoryCode = noCategory
	}
	zone, err := parseZone(m.TimeZone)
	if err != nil {
		return m, err
	}
	m.TimeZone = zone.String()
	plan, err := parseSchedule(req.GetSettlementSchedule(), zone)
	if err != nil {
		return m, err
	}
	m.SettlementInterval, m.SettlementMinute, m.SettlementWeekday = int16(plan.interval), int16(plan.minute), int16(plan.weekday)
	m.SettleTime = plan.next(s.now())
	fingerprint := ledger.Fingerprint("merchant", m.Name, m.Country, m.City, m.CategoryCode, m.TimeZone,
		plan.interval.String(), strconv.Itoa(plan.minute), strconv.Itoa(plan.weekday))
	m.Fingerprint = fingerprint[:]
	return m, checkShown(m.Name, m.Country, m.City)
}

// checkShown refuses a country that isn't one, and names that nothing is left of in a
// QR code.
func checkShown(name, country, city string) error {
	if _, ok := qr.CountryCurrency(country); !ok {
		return invalid("country", "must be an ISO 3166 country code")
	}
	c := storeCode(uuid.Nil, &store.Merchant{Name: name, Country: country, CategoryCode: noCategory}, "-")
	if _, err := qr.Encode(c); err != nil {
		return invalid("name", "must have letters or digits").WithCause(err)
	}
	c = storeCode(uuid.Nil, &store.Merchant{Name: "-", Country: country, CategoryCode: noCategory}, city)
	if _, err := qr.Encode(c); err != nil {
		return invalid("city", "must have letters or digits").WithCause(err)
	}
	return nil
}

// reschedule says when a merchant settles from now on.
func (s *Service) reschedule(ctx context.Context, m member, to *merchantv1.SettlementSchedule) error {
	found, err := s.store.Queries().GetMerchant(ctx, store.GetMerchantParams{ID: m.merchant, UserID: m.user})
	if err != nil {
		return fmt.Errorf("reading a merchant: %w", err)
	}
	zone, err := parseZone(found.Merchant.TimeZone)
	if err != nil {
		return err
	}
	plan, err := parseSchedule(to, zone)
	if err != nil {
		return err
	}
	return s.store.Queries().SetSettlementSchedule(ctx, store.SetSettlementScheduleParams{
		ID: m.merchant, SettlementInterval: int16(plan.interval), SettlementMinute: int16(plan.minute),
		SettlementWeekday: int16(plan.weekday), SettleTime: plan.next(s.now()),
	})
}

// merchant shows a merchant to one of its staff.
func (s *Service) merchant(ctx context.Context, merchant, user uuid.UUID) (*merchantv1.Merchant, error) {
	found, err := s.store.Queries().GetMerchant(ctx, store.GetMerchantParams{ID: merchant, UserID: user})
	if err != nil {
		return nil, fmt.Errorf("reading a merchant: %w", err)
	}
	return merchantMessage(&found.Merchant, found.Role), nil
}

func (s *Service) listMerchants(ctx context.Context, user uuid.UUID, req *merchantv1.ListMerchantsRequest) (shown []*merchantv1.Merchant, next string, err error) {
	p, err := newPage(req, merchantv1connect.MerchantServiceListMerchantsProcedure, user.String())
	if err != nil {
		return nil, "", err
	}
	list, err := s.store.Queries().ListMerchants(ctx, store.ListMerchantsParams{UserID: user, BeforeID: p.before, MaxRows: p.rows()})
	if err != nil {
		return nil, "", fmt.Errorf("listing merchants: %w", err)
	}
	list, next = cut(p, list, func(r *store.ListMerchantsRow) uuid.UUID { return r.Merchant.ID })
	for i := range list {
		shown = append(shown, merchantMessage(&list[i].Merchant, list[i].Role))
	}
	return shown, next, nil
}
