package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	books "github.com/tillbook/tillbook/store/ledger"
)

// posting is a posting of a request on its way to the books.
type posting struct {
	path    string // of the message in the request
	code    string
	value   money.Value
	account books.AccountID // known after resolve
}

// read reads the postings of a request, which must balance, and finds their
// accounts. Path leads to the list in the request.
func (s *Service) read(ctx context.Context, list []*ledgerv1.Posting, path string) ([]posting, error) {
	postings, err := s.parse(ctx, list, path)
	if err != nil {
		return nil, err
	}
	if err := checkBalance(postings); err != nil {
		return nil, err
	}
	return postings, s.resolve(ctx, postings)
}

// parse reads the postings of a request: amounts that are exact and not zero,
// each account once. Path leads to the list in the request.
func (s *Service) parse(ctx context.Context, list []*ledgerv1.Posting, path string) ([]posting, error) {
	postings := make([]posting, len(list))
	for i, p := range list {
		path := path + "[" + strconv.Itoa(i) + "]"
		if slices.ContainsFunc(postings[:i], func(other posting) bool { return other.code == p.GetAccount() }) {
			return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "An account appears twice.").
				WithField(path+".account", "must differ from those of the other postings")
		}
		value, err := money.Parse(ctx, s.books, p.GetAmount(), path+".amount")
		if err != nil {
			return nil, err
		}
		if value.Amount.IsZero() {
			return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "An amount is zero.").
				WithField(path+".amount.amount", "must not be zero")
		}
		postings[i] = posting{path: path, code: p.GetAccount(), value: value}
	}
	return postings, nil
}

// checkBalance refuses what the committer would refuse too, before accounts are
// opened for it.
func checkBalance(postings []posting) error {
	sums := make(map[books.AssetID]books.Amount)
	for _, p := range postings {
		sum, err := sums[p.value.Asset.ID].Add(p.value.Amount)
		if err != nil {
			return err
		}
		sums[p.value.Asset.ID] = sum
	}
	for _, sum := range sums {
		if !sum.IsZero() {
			return books.ErrUnbalanced
		}
	}
	return nil
}

// resolve finds the accounts. Those that stand for the world outside and for the
// system itself are opened when they are first posted to, once all others were
// found; users' are not, since a code that was misspelt would make money vanish
// into it.
func (s *Service) resolve(ctx context.Context, postings []posting) error {
	var missing []*posting
	for i := range postings {
		p := &postings[i]
		account, asset, err := s.books.LookupAccount(ctx, p.code)
		if errors.Is(err, books.ErrAccountNotFound) && opensByItself(p.code) {
			missing = append(missing, p)
			continue
		}
		if err == nil && asset != p.value.Asset.ID {
			err = books.ErrAccountAsset
		}
		if err != nil {
			return refusal(err, p)
		}
		p.account = account
	}
	for _, p := range missing {
		var err error
		p.account, err = s.books.OpenAccount(ctx, books.AccountSpec{
			Code: p.code, Asset: p.value.Asset.ID, Unbounded: true,
		})
		if err != nil {
			return refusal(err, p)
		}
	}
	return nil
}

func opensByItself(code string) bool {
	class := money.Class(code)
	return class == money.ClassExternal || class == money.ClassSystem
}

func refusal(err error, p *posting) error {
	switch {
	case errors.Is(err, books.ErrAccountNotFound):
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ACCOUNT_NOT_FOUND, "There is no account with this code.").
			WithField(p.path+".account", "must be the code of an account").WithCause(err)
	case errors.Is(err, books.ErrAccountAsset):
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ACCOUNT_ASSET_MISMATCH, "The account holds another asset.").
			WithField(p.path+".amount.asset", "must be the asset of the account").WithCause(err)
	default:
		return err
	}
}

// otherAsset refuses money that is of another asset than what it is for. Path
// leads to the money in the request.
func otherAsset(path string) error {
	return rpc.AsError(books.ErrAccountAsset).WithField(path+".asset", "must be the asset of the account")
}

// prepare reads a transaction that an operator wants posted, up to what the
// committer is to do. Prefix leads to it in the request.
func (s *Service) prepare(ctx context.Context, req *ledgerv1.PostTransactionRequest, prefix string) (books.Command, error) {
	postings, err := s.read(ctx, req.GetPostings(), prefix+"postings")
	if err != nil {
		return books.Command{}, err
	}
	return command(rpc.PrincipalFrom(ctx).Operator, req, postings), nil
}

// command is what the committer is to do. Postings are a set: their order in
// the request makes no other request of it.
func command(operator uuid.UUID, req *ledgerv1.PostTransactionRequest, postings []posting) books.Command {
	parts := []string{"post", req.GetReason()}
	for _, p := range sorted(postings) {
		parts = append(parts, p.code, p.value.Asset.Code, p.value.Amount.String())
	}
	cmd := books.Command{
		Key:         keyOf(operator, req.GetIdempotencyKey()),
		Fingerprint: books.Fingerprint(parts...),
		Kind:        books.KindAdjustment,
	}
	post(&cmd, postings, books.Draft{Note: req.GetReason(), Details: detailsOf(operator)})
	return cmd
}

// post has a command decide to make postings, whatever it sees.
func post(cmd *books.Command, postings []posting, draft books.Draft) {
	for _, p := range postings {
		cmd.Accounts = append(cmd.Accounts, p.account)
		draft.Postings = append(draft.Postings, books.Posting{Account: p.account, Amount: p.value.Amount})
	}
	cmd.Decide = func(books.View) (books.Draft, error) { return draft, nil }
}

// sorted is a copy of the postings in the order of their accounts' codes.
func sorted(postings []posting) []posting {
	return slices.SortedFunc(slices.Values(postings), func(a, b posting) int { return cmp.Compare(a.code, b.code) })
}

// keyOf is an operator's idempotency key.
func keyOf(operator uuid.UUID, key string) books.Key {
	return books.NewKey("operator/"+id.Format(id.Operator, operator), key)
}

// identity is what makes a call of an operator execute once. Parts say what the
// request means.
func identity(ctx context.Context, key string, parts ...string) books.Identity {
	return books.Identity{
		Key:         keyOf(rpc.PrincipalFrom(ctx).Operator, key),
		Fingerprint: books.Fingerprint(parts...),
	}
}

// detailsOf is what is kept with a transaction beside its reason.
func detailsOf(operator uuid.UUID) json.RawMessage {
	details, err := json.Marshal(map[string]string{"operator_id": id.Format(id.Operator, operator)})
	if err != nil {
		panic(err) // a map of strings always has a JSON form
	}
	return details
}
