package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// How a request for money ends; stored in resolutions.
const (
	outcomePaid     ledger.Outcome = 1
	outcomeDeclined ledger.Outcome = 2
	outcomeCanceled ledger.Outcome = 3
)

const (
	// requestLife is how long a request can be paid that doesn't say.
	requestLife = 24 * time.Hour
	// maxOpenRequests bounds how many of a user's requests can be open.
	maxOpenRequests = 100
)

// requestRule bounds how fast a user can ask others for money: thirty at once, then
// one in ten seconds.
var requestRule = rate.Rule{Name: "wallet.request", Per: 10 * time.Second, Burst: 30}

var (
	errRequestNotFound = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such request.")
	errNobodyAsked     = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RECIPIENT_NOT_FOUND,
		"Nobody can be asked under this phone number, username or id.").WithField("payer", "must be that of a user")
	errRequestExpired = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PAYMENT_REQUEST_EXPIRED,
		"The request was not paid in time.")
	errRequestClosed = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PAYMENT_REQUEST_CLOSED,
		"The request was paid, declined or canceled before.")
)

// request is a row of payment_requests with how it ended.
type request = store.PaymentRequestState

// newRequest is a request to be made.
type newRequest struct {
	key              string
	requester, payer uuid.UUID
	value            money.Value
	note             string
	expire           *timestamppb.Timestamp
}

// create writes a request, or finds the one that its key made before.
func (s *Service) create(ctx context.Context, r *newRequest) (uuid.UUID, error) {
	expire, said := s.now().Add(requestLife), ""
	if r.expire != nil {
		if r.expire.CheckValid() != nil {
			return uuid.Nil, errRequestLife
		}
		expire = r.expire.AsTime()
		said = expire.Format(time.RFC3339Nano)
	}
	key := ledger.NewKey(money.UserScope(r.requester)+"/payment_requests", r.key)
	fingerprint := ledger.Fingerprint("request", id.Format(id.User, r.payer), r.value.Asset.Code, r.value.Amount.String(), r.note, said)
	made := uuid.Nil
	err := s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockRequester(ctx, r.requester.String()); err != nil {
			return err
		}
		known, err := q.FindPaymentRequestByKey(ctx, uuid.UUID(key))
		switch {
		case err == nil && string(known.Fingerprint) != string(fingerprint[:]):
			return ledger.ErrKeyReused
		case err == nil:
			made = known.ID
			return nil
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		open, err := q.CountOpenPaymentRequests(ctx, r.requester)
		if err != nil {
			return err
		}
		if open >= maxOpenRequests {
			return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TOO_MANY_PAYMENT_REQUESTS,
				"You have %d open requests. Cancel some first.", open)
		}
		made, err = q.InsertPaymentRequest(ctx, store.InsertPaymentRequestParams{
			ID: id.New(), RequesterID: r.requester, PayerID: r.payer, AssetID: int16(r.value.Asset.ID),
			Amount: r.value.Amount.String(), Note: r.note, KeyHash: uuid.UUID(key), Fingerprint: fingerprint[:], ExpireTime: expire,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return errRequestLife
		}
		return err
	})
	return made, err
}

var errRequestLife = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_EXPIRE_TIME_INVALID,
	"A request must expire in the future, at most 30 days from now.").
	WithField("expire_time", "must lie in the future, at most 30 days from now")

// request finds a request of the user's, sent or received.
func (s *Service) request(ctx context.Context, user uuid.UUID, text string) (request, error) {
	wanted, err := id.Parse(id.Request, text)
	if err != nil {
		return request{}, errRequestNotFound.WithCause(err)
	}
	found, err := s.store.Queries().GetPaymentRequest(ctx, store.GetPaymentRequestParams{ID: wanted, UserID: user})
	if errors.Is(err, pgx.ErrNoRows) {
		return request{}, errRequestNotFound.WithCause(err)
	}
	if err != nil {
		return request{}, fmt.Errorf("reading a request for money: %w", err)
	}
	return found, nil
}

// resolve ends a request without money. Whoever is first wins; doing it again
// answers as the first time.
func (s *Service) resolve(ctx context.Context, user uuid.UUID, r request, as ledger.Outcome) (request, error) {
	_, err := s.store.Queries().ResolvePaymentRequest(ctx, store.ResolvePaymentRequestParams{ID: r.ID, Outcome: int16(as)})
	if err != nil {
		return request{}, fmt.Errorf("ending a request for money: %w", err)
	}
	now, err := s.request(ctx, user, id.Format(id.Request, r.ID))
	switch {
	case err != nil:
		return request{}, err
	case now.State == int32(as)+1:
		return now, nil
	case stateOf(&now) == walletv1.PaymentRequestState_PAYMENT_REQUEST_STATE_EXPIRED:
		return request{}, errRequestExpired
	default:
		return request{}, errRequestClosed
	}
}

// payRequest pays a request that the user received, at most once whatever keys are
// used, and only while it is open.
func (s *Service) payRequest(ctx context.Context, user uuid.UUID, key string, r request) (ledger.Transaction, error) {
	asset, err := s.ledger.AssetByID(ctx, ledger.AssetID(r.AssetID))
	if err != nil {
		return ledger.Transaction{}, err
	}
	amount, err := ledger.ParseDecimal(r.Amount, 0)
	if err != nil {
		return ledger.Transaction{}, err
	}
	return s.pay(ctx, &payment{
		key: key, payer: user, payee: r.RequesterID, value: money.Value{Asset: asset, Amount: amount}, note: r.Note,
		request: r.ID, deadline: r.ExpireTime,
	})
}

// requestMessages shows requests to one of their two sides.
func (s *Service) requestMessages(ctx context.Context, user uuid.UUID, list []request) ([]*walletv1.PaymentRequest, error) {
	others := make([]uuid.UUID, len(list))
	for i := range list {
		others[i] = otherOf(&list[i], user)
	}
	known, err := s.payees.names(ctx, others)
	if err != nil {
		return nil, err
	}
	shown := make([]*walletv1.PaymentRequest, len(list))
	for i := range list {
		r := &list[i]
		asset, err := s.ledger.AssetByID(ctx, ledger.AssetID(r.AssetID))
		if err != nil {
			return nil, err
		}
		amount, err := ledger.ParseDecimal(r.Amount, 0)
		if err != nil {
			return nil, err
		}
		m := &walletv1.PaymentRequest{
			PaymentRequestId: id.Format(id.Request, r.ID), Sent: r.RequesterID == user,
			Counterparty: otherSide{user: others[i]}.message(names{users: known}),
			Amount:       money.Format(asset, amount), Note: r.Note, State: stateOf(r),
			CreateTime: timestamppb.New(r.CreateTime), ExpireTime: timestamppb.New(r.ExpireTime),
		}
		if r.TransactionID != nil {
			m.TransactionId = id.Format(id.Transaction, *r.TransactionID)
		}
		if r.CloseTime != nil {
			m.CloseTime = timestamppb.New(*r.CloseTime)
		}
		shown[i] = m
	}
	return shown, nil
}

// showRequest shows the caller's request with this id.
func (s *Service) showRequest(ctx context.Context, user, wanted uuid.UUID) (*walletv1.PaymentRequest, error) {
	r, err := s.request(ctx, user, id.Format(id.Request, wanted))
	if err != nil {
		return nil, err
	}
	return s.requestMessage(ctx, user, r)
}

func (s *Service) requestMessage(ctx context.Context, user uuid.UUID, r request) (*walletv1.PaymentRequest, error) {
	shown, err := s.requestMessages(ctx, user, []request{r})
	if err != nil {
		return nil, err
	}
	return shown[0], nil
}

func otherOf(r *request, user uuid.UUID) uuid.UUID {
	if r.RequesterID == user {
		return r.PayerID
	}
	return r.RequesterID
}

// stateOf reads the state, which the view numbers as the API does.
func stateOf(r *request) walletv1.PaymentRequestState {
	return walletv1.PaymentRequestState(r.State)
}

// requests lists what a user sent or received.
func (s *Service) requests(ctx context.Context, user, before uuid.UUID, req *walletv1.ListPaymentRequestsRequest, limit int) ([]request, error) {
	q := store.ListSentPaymentRequestsParams{UserID: user, BeforeID: before, State: int32(req.GetState()), MaxRows: int32(limit)}
	if req.GetSent() {
		return s.store.Queries().ListSentPaymentRequests(ctx, q)
	}
	return s.store.Queries().ListReceivedPaymentRequests(ctx, store.ListReceivedPaymentRequestsParams(q))
}
