package wallet

import (
	"context"
	"errors"
	"log/slog"
	"time"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// Deps is what the service works with.
type Deps struct {
	// Store reads users.
	Store *store.Store
	// Ledger holds the money.
	Ledger *ledger.Ledger
	// Limiter bounds how often a user may look for others.
	Limiter *rate.Limiter
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
	// Watch tunes WatchWallet.
	Watch WatchConfig
}

// Service implements WalletService.
type Service struct {
	ledger   *ledger.Ledger
	payees   *payees
	lookups  *lookups
	watchers *watchers
	now      func() time.Time
	watch    WatchConfig
}

var _ walletv1connect.WalletServiceHandler = (*Service)(nil)

// New returns the service. It starts nothing and needs no closing.
func New(deps Deps) *Service {
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	deps.Watch.setDefaults()
	payees := newPayees(deps.Store, deps.Clock)
	return &Service{
		ledger:   deps.Ledger,
		payees:   payees,
		lookups:  &lookups{payees: payees, limiter: deps.Limiter, log: deps.Logger},
		watchers: newWatchers(deps.Watch.MaxPerUser),
		now:      deps.Clock,
		watch:    deps.Watch,
	}
}

// Warm remembers who can be paid, so that a replica that just started doesn't
// look each of them up on its own. Everything works without it.
func (s *Service) Warm(ctx context.Context) error { return s.payees.warm(ctx) }

// GetWallet returns the caller's balances.
func (s *Service) GetWallet(ctx context.Context, _ *walletv1.GetWalletRequest) (*walletv1.GetWalletResponse, error) {
	accounts, err := s.ledger.AccountsUnder(ctx, money.UserPrefix(rpc.PrincipalFrom(ctx).User))
	if err != nil {
		return nil, err
	}
	balances, err := s.balances(ctx, accounts)
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
	notFound := rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such transaction.")
	txn, err := id.Parse(id.Transaction, req.GetTransactionId())
	if err != nil {
		return nil, notFound.WithCause(err)
	}
	t, err := s.ledger.Transaction(ctx, txn)
	if errors.Is(err, ledger.ErrTransactionNotFound) {
		return nil, notFound.WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	shown, err := s.View(ctx, rpc.PrincipalFrom(ctx).User, &t)
	if errors.Is(err, errNotTheirs) {
		return nil, notFound.WithCause(err)
	}
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
	page, err := s.ledger.History(ctx, q)
	if err != nil {
		return nil, err
	}
	res := &walletv1.ListTransactionsResponse{}
	if page.Next != nil {
		res.NextPageToken = rpc.EncodePageToken(historyKind(user, req), page.Next)
	}
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
	w := &watch{service: s, user: user, stream: stream}
	if err := w.begin(ctx, req.GetResumeToken()); err != nil {
		return err
	}
	return w.follow(ctx, sub.C())
}
