package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/store/id"
)

// password is every benchmark user's.
const password = "bench-passphrase"

// hashPassword returns its hash, made as the server makes them.
func hashPassword() (string, error) {
	return argon2id.CreateHash(password, &argon2id.Params{
		Memory: 46 * 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32,
	})
}

// signInAtOnce is how many sign-ins are under way; the server hashes one
// password at a time for each two processors.
const signInAtOnce = 4

// signIn signs the first n users in through the API, each on a device that is
// known and from an address of its own, so that no limit strikes, and returns
// their access tokens.
func (s *server) signIn(ctx context.Context, n int) ([]string, error) {
	devices, err := s.books.knowDevices(ctx, n)
	if err != nil {
		return nil, err
	}
	client := authv1connect.NewAuthServiceClient(connect.NewClient(
		connecthttp.NewTransport(http.DefaultClient, "http://"+s.connectAddr)))
	tokens, failures := make([]string, n), make([]error, n)
	var work sync.WaitGroup
	for worker := range signInAtOnce {
		work.Go(func() {
			for i := worker; i < n && ctx.Err() == nil; i += signInAtOnce {
				tokens[i], failures[i] = login(ctx, client, i, devices[i])
			}
		})
	}
	work.Wait()
	return tokens, errors.Join(append(failures, ctx.Err())...)
}

func login(ctx context.Context, client authv1connect.AuthServiceClient, i int, device string) (string, error) {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.1", i/250, i%250))
	response, err := client.Login(ctx, &authv1.LoginRequest{
		PhoneNumber: phoneNumber(i), Password: password, DeviceToken: device,
	})
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	if response.GetSession() == nil {
		return "", errors.New("signing in: the device was not known")
	}
	return response.GetSession().GetAccessToken(), nil
}

// knowDevices gives the first n users a verified device each and returns the
// tokens that prove it.
func (b *books) knowDevices(ctx context.Context, n int) ([]string, error) {
	ids, tokens, hashes := make([]uuid.UUID, n), make([]string, n), make([][]byte, n)
	for i := range n {
		var secret [32]byte
		_, _ = rand.Read(secret[:]) // never fails; it aborts the process instead
		sum := sha256.Sum256(secret[:])
		ids[i], hashes[i] = id.New(), sum[:]
		tokens[i] = "tbd_" + base64.RawURLEncoding.EncodeToString(secret[:])
	}
	_, err := b.db.owner.Exec(ctx, `
INSERT INTO devices (id, user_id, token_hash, name, create_time, last_time, expire_time)
SELECT d.id, d.user_id, d.hash, 'bench', now(), now(), now() + interval '1 day'
  FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) AS d (id, user_id, hash)`, ids, b.users[:n], hashes)
	if err != nil {
		return nil, fmt.Errorf("adding devices: %w", err)
	}
	return tokens, nil
}
