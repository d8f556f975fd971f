package wallet

import (
	"context"
	"time"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
)

// Service implements WalletService.
type Service struct {
	store     *store.Store
	past      *store.Past
	ledger    *ledger.Ledger
	limiter   *rate.Limiter
	log       *seal.Log
	checkouts *checkout.Desk
	merchants *cache[uuid.UUID, string]
	payees    *payees
	lookups   *lookups
	watchers  *watchers
	exports   *watchers
	now       func() time.Time
	watch     WatchConfig
}

var _ walletv1connect.WalletServiceHandler = (*Service)(nil)

// Warm remembers who can be paid, so that a replica that just started doesn't
// look each of them up on its own. Everything works without it.
func (s *Service) Warm(ctx context.Context) error { return s.payees.warm(ctx) }

// GetWallet returns the caller's balances.
func (s *Service) GetWallet(ctx context.Context, req *walletv1.GetWalletRequest) (*walletv1.GetWalletResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	if req.GetAsOfTime() != nil {
		return s.walletAt(ctx, user, req.GetAsOfTime())
	}
	accounts, err := s.ledger.AccountsUnder(ctx, money.UserPrefix(user))
	if err != nil {
		return nil, err
	}
	balances, err := s.balances(ctx, user, accounts)
	if err != nil {
		return nil, err
	}
	return &walletv1.GetWalletResponse{Balances: balances}, nil
}

// ResolveRecipient tells who would be paid. Every call counts against the
// caller's limit, found or not.
func (s *Service) ResolveRecipient(ctx context.Context, req *walletv1.ResolveRecipientRequest) (*walletv1.ResolveRecipientResponse, error) {
	found, err := s.lookups.resolve(ctx, rpc.PrincipalFrom(ctx).User, req.GetRecipient())
	if err != nil {
		return nil, err
	}
	return &walletv1.ResolveRecipientResponse{UserId: id.Format(id.User, found.id), MaskedName: found.name}, nil
}

// Transfer pays another user. What can be refused from the request alone comes
// first, then what memory knows, then what must be asked; the money itself is
// the committer's.
func (s *Service) Transfer(ctx context.Context, req *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
	payer := rpc.PrincipalFrom(ctx).User
	value, err := money.ParsePositive(ctx, s.ledger, req.GetAmount(), "amount")
	if err != nil {
		return nil, err
	}
	to, err := s.lookups.recipient(ctx, payer, req.GetRecipient())
	if err != nil {
		return nil, err
	}
	if to.id == payer {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_SELF_TRANSFER, "You can't pay yourself.").
			WithField("recipient", "must be somebody else")
	}
	t, err := s.pay(ctx, &payment{key: req.GetIdempotencyKey(), payer: payer, payee: to.id, value: value, note: req.GetNote()})
	if err != nil {
		return nil, err
	}
	shown, err := s.shown(&t, payer, value.Asset, counterpartyMessage(to))
	if err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return &walletv1.TransferResponse{Transaction: shown}, nil
}

// GetTransaction returns one of the caller's transactions.
func (s *Service) GetTransaction(ctx context.Context, req *walletv1.GetTransactionRequest) (*walletv1.GetTransactionResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	t, _, err := s.find(ctx, user, req.GetTransactionId())
	if err != nil {
		return nil, err
	}
	shown, err := s.View(ctx, user, &t)
	if err != nil {
		return nil, err
	}
	return &walletv1.GetTransactionResponse{Transaction: shown}, nil
}

// ListTransactions lists the caller's transactions, newest first. One that
// touched several of the caller's balances comes once for each, never on two
// pages.
func (s *Service) ListTransactions(ctx context.Context, req *walletv1.ListTransactionsRequest) (*walletv1.ListTransactionsResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	q, err := s.historyQuery(ctx, user, req)
	if err != nil {
		return nil, err
	}
	if len(q.Accounts) == 0 {
		return &walletv1.ListTransactionsResponse{}, nil
	}
	reading := ctx
	if q.Before != nil {
		reading = s.past.Reading(ctx, q.Before.Time)
	}
	page, err := s.ledger.History(reading, q)
	if err != nil {
		return nil, err
	}
	res := &walletv1.ListTransactionsResponse{}
	if page.Next != nil {
		res.NextPageToken = rpc.EncodePageToken(historyKind(user, req), page.Next)
	}
	// What was given back of a transaction changes for as long as it is there.
	res.Transactions, err = s.views(ctx, user, page.Entries)
	return res, err
}

// WatchWallet streams the caller's wallet.
func (s *Service) WatchWallet(ctx context.Context, req *walletv1.WatchWalletRequest, stream walletv1connect.WalletServiceWatchWalletServerStream) error {
	user := rpc.PrincipalFrom(ctx).User
	leave, err := s.watchers.enter(user)
	if err != nil {
		return err
	}
	defer leave()
	// The subscription comes before the first read: what is committed between
	// the two is then either read or announced.
	sub := s.ledger.Watch(money.UserPrefix(user))
	defer sub.Close()
	w := &watch{service: s, user: user, stream: stream, held: make(map[ledger.AccountID]ledger.Amount)}
	if err := w.begin(ctx, req.GetResumeToken()); err != nil {
		return err
	}
	return w.follow(ctx, sub)
}

// RefundTransaction gives back a payment that the caller received.
func (s *Service) RefundTransaction(ctx context.Context, req *walletv1.RefundTransactionRequest) (*walletv1.RefundTransactionResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	t, err := s.refund(ctx, user, req)
	if err != nil {
		return nil, err
	}
	shown, err := s.View(ctx, user, &t)
	if err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return &walletv1.RefundTransactionResponse{Transaction: shown}, nil
}

// CreatePaymentRequest asks another user for money.
func (s *Service) CreatePaymentRequest(ctx context.Context, req *walletv1.CreatePaymentRequestRequest) (*walletv1.CreatePaymentRequestResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	value, err := money.ParsePositive(ctx, s.ledger, req.GetAmount(), "amount")
	if err != nil {
		return nil, err
	}
	if err := s.limiter.Allow(ctx, requestRule, user.String()); err != nil {
		return nil, err
	}
	payer, err := s.lookups.recipient(ctx, user, req.GetPayer())
	if rpc.ReasonOf(err) == errorv1.ErrorReason_ERROR_REASON_RECIPIENT_NOT_FOUND {
		return nil, errNobodyAsked.WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	if payer.id == user {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_SELF_TRANSFER, "You can't ask yourself for money.").
			WithField("payer", "must be somebody else")
	}
	made, err := s.create(ctx, &newRequest{
		key: req.GetIdempotencyKey(), requester: user, payer: payer.id, value: value, note: req.GetNote(), expire: req.GetExpireTime(),
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.showRequest(ctx, user, made)
	if err != nil {
		return nil, err
	}
	return &walletv1.CreatePaymentRequestResponse{PaymentRequest: shown}, nil
}

// PayPaymentRequest pays what the caller was asked for.
func (s *Service) PayPaymentRequest(ctx context.Context, req *walletv1.PayPaymentRequestRequest) (*walletv1.PayPaymentRequestResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	r, err := s.request(ctx, user, req.GetPaymentRequestId())
	if err != nil {
		return nil, err
	}
	if r.PayerID != user {
		return nil, errRequestNotFound
	}
	t, err := s.payRequest(ctx, user, req.GetIdempotencyKey(), r)
	if err != nil {
		return nil, err
	}
	shown, err := s.View(ctx, user, &t)
	if err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return &walletv1.PayPaymentRequestResponse{Transaction: shown}, nil
}

// DeclinePaymentRequest refuses what the caller was asked for.
func (s *Service) DeclinePaymentRequest(ctx context.Context, req *walletv1.DeclinePaymentRequestRequest) (*walletv1.DeclinePaymentRequestResponse, error) {
	shown, err := s.end(ctx, req.GetPaymentRequestId(), outcomeDeclined)
	return &walletv1.DeclinePaymentRequestResponse{PaymentRequest: shown}, err
}

// CancelPaymentRequest takes back what the caller asked for.
func (s *Service) CancelPaymentRequest(ctx context.Context, req *walletv1.CancelPaymentRequestRequest) (*walletv1.CancelPaymentRequestResponse, error) {
	shown, err := s.end(ctx, req.GetPaymentRequestId(), outcomeCanceled)
	return &walletv1.CancelPaymentRequestResponse{PaymentRequest: shown}, err
}

// end ends a request as the one of its sides that may.
func (s *Service) end(ctx context.Context, text string, as ledger.Outcome) (*walletv1.PaymentRequest, error) {
	user := rpc.PrincipalFrom(ctx).User
	r, err := s.request(ctx, user, text)
	if err != nil {
		return nil, err
	}
	if (r.PayerID == user) != (as == outcomeDeclined) {
		return nil, errRequestNotFound
	}
	if r, err = s.resolve(ctx, user, r, as); err != nil {
		return nil, err
	}
	return s.requestMessage(ctx, user, r)
}

// GetPaymentRequest returns a request that the caller sent or received.
func (s *Service) GetPaymentRequest(ctx context.Context, req *walletv1.GetPaymentRequestRequest) (*walletv1.GetPaymentRequestResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	r, err := s.request(ctx, user, req.GetPaymentRequestId())
	if err != nil {
		return nil, err
	}
	shown, err := s.requestMessage(ctx, user, r)
	return &walletv1.GetPaymentRequestResponse{PaymentRequest: shown}, err
}

// ListPaymentRequests lists what the caller sent or received.
func (s *Service) ListPaymentRequests(ctx context.Context, req *walletv1.ListPaymentRequestsRequest) (*walletv1.ListPaymentRequestsResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	side := "received"
	if req.GetSent() {
		side = "sent"
	}
	kind := rpc.PageKind(walletv1connect.WalletServiceListPaymentRequestsProcedure, user.String(), side, req.GetState().String())
	before, size := uuid.Max, rpc.PageSize(req.GetPageSize())
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &before); err != nil {
			return nil, err
		}
	}
	list, err := s.requests(ctx, user, before, req, size+1)
	if err != nil {
		return nil, err
	}
	res := &walletv1.ListPaymentRequestsResponse{}
	if len(list) > size {
		list = list[:size]
		res.NextPageToken = rpc.EncodePageToken(kind, list[size-1].ID)
	}
	res.PaymentRequests, err = s.requestMessages(ctx, user, list)
	return res, err
}

// ListHolds lists the holds on the caller's money.
func (s *Service) ListHolds(ctx context.Context, req *walletv1.ListHoldsRequest) (*walletv1.ListHoldsResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	kind := rpc.PageKind(walletv1connect.WalletServiceListHoldsProcedure, user.String(), req.GetState().String())
	size := rpc.PageSize(req.GetPageSize())
	q := ledger.HoldsQuery{State: ledger.HoldState(req.GetState()), Limit: size + 1}
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &q.Before); err != nil {
			return nil, err
		}
	}
	accounts, err := s.ledger.AccountsUnder(ctx, money.UserPrefix(user))
	if err != nil {
		return nil, err
	}
	for i := range accounts {
		q.Accounts = append(q.Accounts, accounts[i].ID)
	}
	holds, err := s.ledger.Holds(ctx, q)
	if err != nil {
		return nil, err
	}
	res := &walletv1.ListHoldsResponse{}
	if len(holds) > size {
		holds = holds[:size]
		res.NextPageToken = rpc.EncodePageToken(kind, holds[size-1].ID)
	}
	for i := range holds {
		asset, err := s.ledger.AssetByID(ctx, holds[i].Asset)
		if err != nil {
			return nil, err
		}
		res.Holds = append(res.GetHolds(), holdMessage(asset, &holds[i]))
	}
	return res, nil
}

// GetLimits returns the limits on the caller's money.
func (s *Service) GetLimits(ctx context.Context, req *walletv1.GetLimitsRequest) (*walletv1.GetLimitsResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	tier, err := s.ledger.Tier(ctx, money.UserScope(user))
	if err != nil {
		return nil, err
	}
	assets, err := s.ledger.Assets(ctx)
	if err != nil {
		return nil, err
	}
	if code := req.GetAsset(); code != "" {
		asset, err := money.Asset(ctx, s.ledger, code, "asset")
		if err != nil {
			return nil, err
		}
		assets = []ledger.Asset{asset}
	}
	var usages []*limitv1.LimitUsage
	for _, asset := range assets {
		list, err := s.ledger.Usage(ctx, money.UserAccount(user, asset), asset.ID)
		if err != nil {
			return nil, err
		}
		for i := range list {
			usages = append(usages, money.LimitUsageMessage(asset, &list[i]))
		}
	}
	return &walletv1.GetLimitsResponse{Tier: int32(tier), Usages: usages}, nil
}
