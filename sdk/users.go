package tillbook

import (
	"context"

	"github.com/tillbook/tillbook/gen/tillbook/user/v1/userv1connect"
)

// Users lets operators look after users. It needs WithOperatorKey.
type Users struct {
	rpc userv1connect.UserServiceClient
}

// Get finds a user.
func (u *Users) Get(ctx context.Context, request *GetUserRequest) (*ManagedUser, error) {
	response, err := u.rpc.GetUser(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetUser(), nil
}

// SetTier says how far a user's identity is known.
func (u *Users) SetTier(ctx context.Context, request *SetTierRequest) (*ManagedUser, error) {
	response, err := u.rpc.SetTier(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetUser(), nil
}

// Erase forgets a person, and returns how many transactions lost their texts. An
// erasure that was interrupted goes on when it is called again.
func (u *Users) Erase(ctx context.Context, request *EraseUserRequest) (int64, error) {
	response, err := u.rpc.EraseUser(ctx, request)
	return response.GetErasedTransactions(), err
}
