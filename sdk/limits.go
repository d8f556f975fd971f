package tillbook

import (
	"context"
	"iter"

	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
)

// Limits lets operators bound what moves. It needs WithOperatorKey.
type Limits struct {
	rpc limitv1connect.LimitServiceClient
}

// Set adds a limit or changes its maximum.
func (l *Limits) Set(ctx context.Context, limit *Limit) (*Limit, error) {
	response, err := l.rpc.SetLimit(ctx, &limitv1.SetLimitRequest{Limit: limit})
	if err != nil {
		return nil, err
	}
	return response.GetLimit(), nil
}

// Delete ends a limit.
func (l *Limits) Delete(ctx context.Context, limitID string) error {
	_, err := l.rpc.DeleteLimit(ctx, &limitv1.DeleteLimitRequest{LimitId: limitID})
	return err
}

// All lists the limits of an asset, or all if it is empty, oldest first.
func (l *Limits) All(ctx context.Context, asset string) iter.Seq2[*Limit, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Limit, string, error) {
		response, err := l.rpc.ListLimits(ctx, &limitv1.ListLimitsRequest{Asset: asset, PageToken: token})
		return response.GetLimits(), response.GetNextPageToken(), err
	})
}

// Usage returns the limits of an account with what is used of them.
func (l *Limits) Usage(ctx context.Context, accountCode string) ([]*LimitUsage, error) {
	response, err := l.rpc.GetUsage(ctx, &limitv1.GetUsageRequest{Account: accountCode})
	if err != nil {
		return nil, err
	}
	return response.GetUsages(), nil
}
