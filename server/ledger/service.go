package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	books "github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
)

// Deps is what the service works with.
type Deps struct {
	// Store is the database of the books, for verifying them.
	Store *store.Store
	// Past is where statements are read. Default: Store.
	Past *store.Past
	// Ledger holds the books.
	Ledger *books.Ledger
	// Checkouts are told of when the hold of one is closed, or its payment given back.
	// Default: those of Store.
	Checkouts *checkout.Desk
	// Log is where they are sealed.
	Log *seal.Log
	// LogKeys returns the log's public keys.
	LogKeys func() []string
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Service implements LedgerService.
type Service struct {
	store     *store.Store
	past      *store.Past
	books     *books.Ledger
	checkouts *checkout.Desk
	log       *seal.Log
	logKeys   func() []string
	now       func() time.Time
	verifying atomic.Bool
	// closed ends a verification under way.
	closed context.Context
	close  context.CancelFunc
}

var _ ledgerv1connect.LedgerServiceHandler = (*Service)(nil)

// New returns the service; Close ends it.
func New(deps Deps) *Service {
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Checkouts == nil {
		deps.Checkouts = checkout.New(checkout.Deps{Store: deps.Store, Ledger: deps.Ledger})
	}
	closed, cancel := context.WithCancel(context.Background())
	return &Service{store: deps.Store, past: deps.Past, books: deps.Ledger, checkouts: deps.Checkouts, log: deps.Log, logKeys: deps.LogKeys, now: deps.Clock, closed: closed, close: cancel}
}

// Close ends a verification under way, which may otherwise outlast its call.
func (s *Service) Close() { s.close() }

// ListAssets lists the assets. They are few: all are read and a page cut out.
func (s *Service) ListAssets(ctx context.Context, req *ledgerv1.ListAssetsRequest) (*ledgerv1.ListAssetsResponse, error) {
	kind := rpc.PageKind(ledgerv1connect.LedgerServiceListAssetsProcedure)
	after := ""
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &after); err != nil {
			return nil, err
		}
	}
	assets, err := s.books.Assets(ctx)
	if err != nil {
		return nil, err
	}
	first, found := slices.BinarySearchFunc(assets, after, func(a books.Asset, code string) int {
		return cmp.Compare(a.Code, code)
	})
	if found {
		first++
	}
	size := rpc.PageSize(req.GetPageSize())
	res := &ledgerv1.ListAssetsResponse{}
	for i := first; i < len(assets) && len(res.GetAssets()) < size; i++ {
		res.Assets = append(res.GetAssets(), assetMessage(assets[i]))
	}
	if last := first + size; last < len(assets) {
		res.NextPageToken = rpc.EncodePageToken(kind, assets[last-1].Code)
	}
	return res, nil
}

// CreateAsset adds an asset.
func (s *Service) CreateAsset(ctx context.Context, req *ledgerv1.CreateAssetRequest) (*ledgerv1.CreateAssetResponse, error) {
	asset, err := s.books.CreateAsset(ctx, books.Asset{
		Code:     req.GetAsset().GetCode(),
		Exponent: int(req.GetAsset().GetExponent()),
		Network:  req.GetAsset().GetNetwork(),
	})
	if err != nil {
		return nil, err
	}
	return &ledgerv1.CreateAssetResponse{Asset: assetMessage(asset)}, nil
}

// GetAccount returns an account as it is or as it was.
func (s *Service) GetAccount(ctx context.Context, req *ledgerv1.GetAccountRequest) (*ledgerv1.GetAccountResponse, error) {
	if req.GetAsOfTime() != nil {
		return s.accountAt(ctx, req)
	}
	account, err := s.books.Account(ctx, req.GetCode())
	if err != nil {
		return nil, err
	}
	asset, err := s.books.AssetByID(ctx, account.Asset)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.GetAccountResponse{Account: accountMessage(asset, &account)}, nil
}

func (s *Service) accountAt(ctx context.Context, req *ledgerv1.GetAccountRequest) (*ledgerv1.GetAccountResponse, error) {
	if err := validMoment(req.GetAsOfTime()); err != nil {
		return nil, err
	}
	account, err := s.books.AccountAt(ctx, req.GetCode(), req.GetAsOfTime().AsTime())
	if err != nil {
		return nil, err
	}
	asset, err := s.books.AssetByID(ctx, account.Asset)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.GetAccountResponse{Account: pastAccountMessage(asset, &account)}, nil
}

// ListEntries lists an account's entries, newest first.
func (s *Service) ListEntries(ctx context.Context, req *ledgerv1.ListEntriesRequest) (*ledgerv1.ListEntriesResponse, error) {
	kind := rpc.PageKind(ledgerv1connect.LedgerServiceListEntriesProcedure, req.GetAccount())
	size := rpc.PageSize(req.GetPageSize())
	// One more than a page shows whether there is another.
	q := books.EntriesQuery{Limit: size + 1}
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &q.Before); err != nil {
			return nil, err
		}
	}
	var err error
	if q.Account, _, err = s.books.LookupAccount(ctx, req.GetAccount()); err != nil {
		return nil, err
	}
	entries, err := s.books.Entries(ctx, q)
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.ListEntriesResponse{}
	if len(entries) > size {
		entries = entries[:size]
		res.NextPageToken = rpc.EncodePageToken(kind, entries[size-1].Version)
	}
	for i := range entries {
		asset, err := s.books.AssetByID(ctx, entries[i].Asset)
		if err != nil {
			return nil, err
		}
		res.Entries = append(res.GetEntries(), entryMessage(asset, &entries[i].Transaction, &entries[i].Entry))
	}
	return res, nil
}

// GetTransaction returns a transaction with all its entries.
func (s *Service) GetTransaction(ctx context.Context, req *ledgerv1.GetTransactionRequest) (*ledgerv1.GetTransactionResponse, error) {
	txn, err := id.Parse(id.Transaction, req.GetTransactionId())
	if err != nil {
		return nil, books.ErrTransactionNotFound
	}
	t, err := s.books.Transaction(ctx, txn)
	if err != nil {
		return nil, err
	}
	shown, err := s.transaction(ctx, &t)
	if err != nil {
		return nil, err
	}
	if err := s.showRefunds(ctx, &t, shown); err != nil {
		return nil, err
	}
	return &ledgerv1.GetTransactionResponse{Transaction: shown}, nil
}

// PostTransaction posts what an operator asks for.
func (s *Service) PostTransaction(ctx context.Context, req *ledgerv1.PostTransactionRequest) (*ledgerv1.PostTransactionResponse, error) {
	cmd, err := s.prepare(ctx, req, "")
	if err != nil {
		return nil, err
	}
	result, err := s.books.Commit(ctx, cmd)
	if err != nil {
		return nil, err
	}
	shown, err := s.executed(ctx, &result.Transaction)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.PostTransactionResponse{Transaction: shown}, nil
}

// GetTrialBalance sums the balances per asset and class.
func (s *Service) GetTrialBalance(ctx context.Context, req *ledgerv1.GetTrialBalanceRequest) (*ledgerv1.GetTrialBalanceResponse, error) {
	lines, err := s.trialBalance(ctx, req.GetAsOfTime())
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.GetTrialBalanceResponse{}
	for _, line := range lines {
		asset, err := s.books.AssetByID(ctx, line.Asset)
		if err != nil {
			return nil, err
		}
		res.Lines = append(res.GetLines(), trialBalanceMessage(asset, line))
	}
	return res, nil
}

func (s *Service) trialBalance(ctx context.Context, at *timestamppb.Timestamp) ([]books.TrialBalanceLine, error) {
	if at == nil {
		return s.books.TrialBalance(ctx)
	}
	if err := validMoment(at); err != nil {
		return nil, err
	}
	return s.books.TrialBalanceAt(ctx, at.AsTime())
}

// validMoment refuses what is no time.
func validMoment(at *timestamppb.Timestamp) error {
	if err := at.CheckValid(); err != nil {
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The time is not valid.").
			WithField("as_of_time", "must be a time between the years 1 and 9999").WithCause(err)
	}
	return nil
}

const (
	// verifyTimeout bounds a verification. Books that take longer are verified
	// from the command line.
	verifyTimeout = time.Hour
	verifyRetry   = 10 * time.Second
)

// Verify proves the books from their rows. Large books take longer than calls
// may: it runs under a deadline of its own, and ends early when the caller
// leaves or the service is closed.
func (s *Service) Verify(ctx context.Context, _ *ledgerv1.VerifyRequest) (*ledgerv1.VerifyResponse, error) {
	if !s.verifying.CompareAndSwap(false, true) {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED,
			"The books are being verified on this replica already.").WithRetry(verifyRetry)
	}
	defer s.verifying.Store(false)

	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), verifyTimeout)
	defer cancel()
	defer context.AfterFunc(s.closed, cancel)()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})()
	report, err := books.Verify(own, s.store.Pool, books.VerifyOptions{Beside: []books.Check{s.sealed()}})
	switch {
	case err == nil:
		return reportMessage(&report), nil
	case errors.Is(ctx.Err(), context.Canceled): // whatever became of the connection by that
		return nil, ctx.Err()
	case errors.Is(err, context.Canceled) && s.closed.Err() != nil:
		return nil, fmt.Errorf("%w: %w", books.ErrClosed, err)
	default:
		return nil, err
	}
}

// transaction shows a transaction, whatever assets its entries are of.
func (s *Service) transaction(ctx context.Context, t *books.Transaction) (*ledgerv1.Transaction, error) {
	shown := transactionMessage(t)
	for i := range t.Entries {
		asset, err := s.books.AssetByID(ctx, t.Entries[i].Asset)
		if err != nil {
			return nil, err
		}
		shown.Entries = append(shown.GetEntries(), entryMessage(asset, t, &t.Entries[i]))
	}
	return shown, nil
}

// executed shows a transaction that was committed. If that fails, the caller has to
// know that it was.
func (s *Service) executed(ctx context.Context, t *books.Transaction) (*ledgerv1.Transaction, error) {
	shown, err := s.transaction(ctx, t)
	if err == nil {
		err = s.showRefunds(ctx, t, shown)
	}
	if err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return shown, nil
}

// GetReceipt returns the proof that a transaction is sealed.
func (s *Service) GetReceipt(ctx context.Context, req *ledgerv1.GetReceiptRequest) (*ledgerv1.GetReceiptResponse, error) {
	t, err := s.original(ctx, req.GetTransactionId())
	if err != nil {
		return nil, err
	}
	receipt, err := money.Receipt(ctx, s.log, t.ID)
	return &ledgerv1.GetReceiptResponse{Receipt: receipt}, err
}

// sealed checks that the books are what was sealed with the log's keys.
func (s *Service) sealed() books.Check {
	options := seal.CheckOptions{}
	if s.logKeys != nil {
		options.VerifierKey = strings.Join(s.logKeys(), " ")
	}
	return seal.Check(options)
}
