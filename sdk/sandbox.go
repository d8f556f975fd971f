package tillbook

import (
	"context"
	"fmt"
	"iter"
	"regexp"
	"sync"
	"time"

	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
)

// Sandbox stands in for the outside world while developing. Servers without a
// sandbox answer its calls with ReasonUnimplemented.
type Sandbox struct {
	rpc sandboxv1connect.SandboxServiceClient

	mu    sync.Mutex
	given map[string]time.Time // number -> when the code was sent that Code returned last
}

const (
	codeWait = 10 * time.Second
	codePoll = 50 * time.Millisecond
	// maxGiven bounds what Code remembers; then it begins anew.
	maxGiven = 10_000
)

// Messages lists the SMS messages that would have gone to a number, newest
// first.
func (s *Sandbox) Messages(ctx context.Context, phoneNumber string) iter.Seq2[*Message, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Message, string, error) {
		response, err := s.rpc.ListMessages(ctx, &sandboxv1.ListMessagesRequest{
			PhoneNumber: phoneNumber,
			PageToken:   token,
		})
		return response.GetMessages(), response.GetNextPageToken(), err
	})
}

// Code returns the newest code that was sent to a number and that it hasn't
// returned before, once it is there: messages go out behind the answers of the
// calls that cause them. It waits 10 seconds unless the context says less.
func (s *Sandbox) Code(ctx context.Context, phoneNumber string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, codeWait)
	defer cancel()
	for {
		code, err := s.newCode(ctx, phoneNumber)
		if code != "" || err != nil {
			return code, err
		}
		if !sleep(ctx, codePoll) {
			return "", fmt.Errorf("tillbook: no new code was sent to %s: %w", phoneNumber, ctx.Err())
		}
	}
}

// newCode looks once.
func (s *Sandbox) newCode(ctx context.Context, phoneNumber string) (string, error) {
	for message, err := range s.Messages(ctx, phoneNumber) {
		if err != nil {
			return "", err
		}
		code := codePattern.FindString(message.GetText())
		if code == "" {
			continue
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		sent := message.GetCreateTime().AsTime()
		if !sent.After(s.given[phoneNumber]) {
			return "", nil
		}
		if s.given == nil || len(s.given) >= maxGiven {
			s.given = make(map[string]time.Time)
		}
		s.given[phoneNumber] = sent
		return code, nil
	}
	return "", nil
}

// Fund gives a user money from outside. Idempotency keys and unknown outcomes
// work as with Wallet.Transfer.
func (s *Sandbox) Fund(ctx context.Context, request *FundRequest) (*Transaction, error) {
	response, err := s.rpc.Fund(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetTransaction(), nil
}

var codePattern = regexp.MustCompile(`\b[0-9]{6}\b`)
