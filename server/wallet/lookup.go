package wallet

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
)

// lookupRule bounds how fast one user can find out who has an account: thirty
// at once, then one in ten seconds.
var lookupRule = rate.Rule{Name: "wallet.lookup", Per: 10 * time.Second, Burst: 30}

// lookupTimeout bounds a look-up that several calls may wait for.
const lookupTimeout = 5 * time.Second

// lookups finds payees for those who may look for them.
type lookups struct {
	payees  *payees
	limiter *rate.Limiter
	log     *slog.Logger
	shared  singleflight.Group
}

// resolve finds whom a recipient means. Every call counts against the user's
// limit, found or not.
func (l *lookups) resolve(ctx context.Context, user uuid.UUID, r *walletv1.Recipient) (payee, error) {
	if err := l.limiter.Allow(ctx, lookupRule, user.String()); err != nil {
		return payee{}, err
	}
	return l.payees.find(ctx, r)
}

// recipient finds whom to pay. Paying is no way around the limit on looking for
// others: a handle that this replica doesn't know costs a token, which comes
// back if it is somebody's. So who pays many people isn't held up, and who
// guesses is.
func (l *lookups) recipient(ctx context.Context, payer uuid.UUID, r *walletv1.Recipient) (payee, error) {
	if found, ok := l.payees.cached(r); ok {
		return found, nil
	}
	h, guessable := handleOf(r)
	if !guessable {
		return l.payees.find(ctx, r)
	}
	// Calls that ask the same at the same time, as a client's retries do, are
	// one look-up and cost one token. It outlives whichever of them gives up.
	key := fmt.Sprintf("%s %t %s", payer, h.isPhone, h.text)
	found, err, _ := l.shared.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		return l.guess(ctx, payer, r)
	})
	if err != nil {
		return payee{}, err
	}
	return found.(payee), nil
}

func (l *lookups) guess(ctx context.Context, payer uuid.UUID, r *walletv1.Recipient) (payee, error) {
	check := rate.Check{Rule: lookupRule, Subject: payer.String()}
	if err := l.limiter.Allow(ctx, check.Rule, check.Subject); err != nil {
		return payee{}, err
	}
	found, err := l.payees.find(ctx, r)
	if rpc.ReasonOf(err) == errorv1.ErrorReason_ERROR_REASON_PHONE_NUMBER_INVALID {
		return payee{}, errNobody(r).WithCause(err)
	}
	if err != nil {
		return payee{}, err
	}
	if err := l.limiter.Return(ctx, check); err != nil {
		// The payer has one look-up less for a while; the payment goes on.
		l.log.WarnContext(ctx, "returning a token failed", "error", err)
	}
	return found, nil
}
