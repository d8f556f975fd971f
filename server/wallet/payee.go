package wallet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/mask"
	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// payee is a user as far as other users may know them.
type payee struct {
	id   uuid.UUID
	name string // masked
}

const (
	payeeCacheSize = 100_000 // some 25 MB each of the two
	payeeCacheLife = 10 * time.Minute
)

// payees finds users for other users.
type payees struct {
	store *store.Store
	byID  *cache[uuid.UUID, payee]
	// byHandle is keyed by the number or the name as the client wrote it, so
	// that a number needs no parsing either.
	byHandle *cache[handle, payee]
}

// handle is a phone number or a username, by which somebody can be guessed.
type handle struct {
	isPhone bool
	text    string
}

func newPayees(s *store.Store, now func() time.Time) *payees {
	return &payees{
		store:    s,
		byID:     newCache[uuid.UUID, payee](payeeCacheSize, payeeCacheLife, now),
		byHandle: newCache[handle, payee](payeeCacheSize, payeeCacheLife, now),
	}
}

// warm remembers those who registered last.
func (p *payees) warm(ctx context.Context) error {
	rows, err := p.store.Queries().ListNewestPayees(ctx, payeeCacheSize)
	if err != nil {
		return fmt.Errorf("loading the newest users: %w", err)
	}
	for _, row := range rows {
		p.byID.put(row.ID, payee{id: row.ID, name: mask.Name(row.Username)})
	}
	return nil
}

// cached returns whom a recipient means if that is known without asking.
func (p *payees) cached(r *walletv1.Recipient) (payee, bool) {
	if h, ok := handleOf(r); ok {
		return p.byHandle.get(h)
	}
	user, err := id.Parse(id.User, r.GetUserId())
	if err != nil {
		return payee{}, false
	}
	return p.byID.get(user)
}

// find returns whom a recipient means, or fails with PHONE_NUMBER_INVALID or
// RECIPIENT_NOT_FOUND.
func (p *payees) find(ctx context.Context, r *walletv1.Recipient) (payee, error) {
	if found, ok := p.cached(r); ok {
		return found, nil
	}
	found, err := p.load(ctx, r)
	if errors.Is(err, pgx.ErrNoRows) {
		return payee{}, errNobody(r).WithCause(err)
	}
	if err != nil {
		return payee{}, err
	}
	p.byID.put(found.id, found)
	if h, ok := handleOf(r); ok {
		p.byHandle.put(h, found)
	}
	return found, nil
}

// load asks the database, and fails with pgx.ErrNoRows if it is nobody.
func (p *payees) load(ctx context.Context, r *walletv1.Recipient) (payee, error) {
	q := p.store.Queries()
	switch r.GetRecipient().(type) {
	case *walletv1.Recipient_PhoneNumber:
		number, err := phone.Parse(r.GetPhoneNumber())
		if err != nil {
			return payee{}, err
		}
		row, err := q.FindPayeeByPhone(ctx, string(number))
		return payeeOf(row.ID, row.Username, err)
	case *walletv1.Recipient_Username:
		if !isUsername(r.GetUsername()) {
			return payee{}, pgx.ErrNoRows
		}
		row, err := q.FindPayeeByUsername(ctx, strings.ToLower(r.GetUsername()))
		return payeeOf(row.ID, row.Username, err)
	default:
		user, err := id.Parse(id.User, r.GetUserId())
		if err != nil {
			return payee{}, pgx.ErrNoRows
		}
		row, err := q.FindPayeeByID(ctx, user)
		return payeeOf(row.ID, row.Username, err)
	}
}

// names returns those of the users whose names can be found, asking for all
// that aren't remembered at once.
func (p *payees) names(ctx context.Context, users []uuid.UUID) (map[uuid.UUID]payee, error) {
	found := make(map[uuid.UUID]payee, len(users))
	var unknown []uuid.UUID
	for _, user := range users {
		if known, ok := p.byID.get(user); ok {
			found[user] = known
		} else {
			unknown = append(unknown, user)
		}
	}
	if len(unknown) == 0 {
		return found, nil
	}
	rows, err := p.store.Queries().ListPayees(ctx, unknown)
	if err != nil {
		return nil, fmt.Errorf("loading names: %w", err)
	}
	for _, row := range rows {
		known := payee{id: row.ID, name: mask.Name(row.Username)}
		found[row.ID] = known
		p.byID.put(row.ID, known)
	}
	return found, nil
}

func payeeOf(user uuid.UUID, username string, err error) (payee, error) {
	if err != nil {
		return payee{}, fmt.Errorf("finding the recipient: %w", err)
	}
	return payee{id: user, name: mask.Name(username)}, nil
}

// handleOf returns the handle by which a recipient is named; false if it is
// named by id, which can't be guessed.
func handleOf(r *walletv1.Recipient) (handle, bool) {
	switch r.GetRecipient().(type) {
	case *walletv1.Recipient_PhoneNumber:
		return handle{isPhone: true, text: r.GetPhoneNumber()}, true
	case *walletv1.Recipient_Username:
		return handle{text: r.GetUsername()}, true
	default:
		return handle{}, false
	}
}

// isUsername tells whether a user can have this name. The database is never
// asked for what can't be one.
func isUsername(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		other := '0' <= name[i] && name[i] <= '9' || name[i] == '.' || name[i] == '_'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return len(name) >= 3 && len(name) <= 32
}

func errNobody(r *walletv1.Recipient) *rpc.Error {
	path := "recipient.user_id"
	if h, ok := handleOf(r); ok {
		path = "recipient.username"
		if h.isPhone {
			path = "recipient.phone_number"
		}
	}
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RECIPIENT_NOT_FOUND,
		"Nobody can be paid under this phone number, username or id.").
		WithField(path, "must be that of a user")
}
