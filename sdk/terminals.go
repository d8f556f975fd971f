package tillbook

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
)

// Terminals is what a merchant's staff does with its terminals. The devices
// themselves use package terminal. Get it from Client.Terminals.
type Terminals struct {
	rpc terminalv1connect.TerminalServiceClient
}

// Create adds a terminal to a store; the answer has the code with which a device
// activates it.
func (t *Terminals) Create(ctx context.Context, request *CreateTerminalRequest) (*NewTerminal, error) {
	return t.rpc.CreateTerminal(ctx, request)
}

// ReissueCode replaces a terminal's activation code and, if it was active, its device.
func (t *Terminals) ReissueCode(ctx context.Context, merchantID, terminalID string) (*ActivationCode, error) {
	return t.rpc.ReissueActivationCode(ctx, &terminalv1.ReissueActivationCodeRequest{MerchantId: merchantID, TerminalId: terminalID})
}

// Get returns a terminal.
func (t *Terminals) Get(ctx context.Context, merchantID, terminalID string) (*Terminal, error) {
	response, err := t.rpc.GetTerminal(ctx, &terminalv1.GetTerminalRequest{MerchantId: merchantID, TerminalId: terminalID})
	if err != nil {
		return nil, err
	}
	return response.GetTerminal(), nil
}

// All lists a merchant's terminals that pass the request's filters, newest first.
func (t *Terminals) All(ctx context.Context, request *ListTerminalsRequest) iter.Seq2[*Terminal, error] {
	return pages(ctx, request.GetPageToken(), func(ctx context.Context, token string) ([]*Terminal, string, error) {
		page := proto.CloneOf(request)
		page.PageToken = token
		response, err := t.rpc.ListTerminals(ctx, page)
		return response.GetTerminals(), response.GetNextPageToken(), err
	})
}

// Send tells a terminal to do something, at once or when it is back.
func (t *Terminals) Send(ctx context.Context, request *SendCommandRequest) (*Terminal, error) {
	response, err := t.rpc.SendCommand(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetTerminal(), nil
}

// Revoke gives a terminal up for good, because it is lost or sold.
func (t *Terminals) Revoke(ctx context.Context, merchantID, terminalID string) (*Terminal, error) {
	response, err := t.rpc.RevokeTerminal(ctx, &terminalv1.RevokeTerminalRequest{MerchantId: merchantID, TerminalId: terminalID})
	if err != nil {
		return nil, err
	}
	return response.GetTerminal(), nil
}
