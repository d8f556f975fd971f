package seal

import (
	"context"
	"errors"
	"time"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	sealv1 "github.com/tillbook/tillbook/gen/tillbook/seal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/seal"
)

// Service implements SealService.
type Service struct {
	log  *seal.Log
	keys *Keys
}

var _ sealv1connect.SealServiceHandler = (*Service)(nil)

// New returns the service on a log. It starts nothing and needs no closing.
func New(log *seal.Log, keys *Keys) *Service { return &Service{log: log, keys: keys} }

// GetCheckpoint returns the newest checkpoint.
func (s *Service) GetCheckpoint(ctx context.Context, _ *sealv1.GetCheckpointRequest) (*sealv1.GetCheckpointResponse, error) {
	checkpoint, _, err := s.log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if checkpoint == "" {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_SEALED_YET, "Nothing was sealed yet.").WithRetry(time.Second)
	}
	return &sealv1.GetCheckpointResponse{Checkpoint: checkpoint, VerifierKey: s.keys.Verifier()}, nil
}

// GetConsistencyProof proves that the log only grew.
func (s *Service) GetConsistencyProof(ctx context.Context, req *sealv1.GetConsistencyProofRequest) (*sealv1.GetConsistencyProofResponse, error) {
	proof, err := s.log.Consistency(ctx, req.GetOldSize(), req.GetNewSize())
	if errors.Is(err, seal.ErrSize) {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "The log has no such sizes.").
			WithField("new_size", "must be at least old_size, and at most the size of the newest checkpoint").WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	res := &sealv1.GetConsistencyProofResponse{}
	for i := range proof {
		res.Proof = append(res.GetProof(), proof[i][:])
	}
	return res, nil
}
