package sandbox

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/store"
)

func messageMessage(m *store.SandboxMessage) *sandboxv1.Message {
	return &sandboxv1.Message{
		PhoneNumber: m.PhoneNumber,
		Text:        m.Text,
		CreateTime:  timestamppb.New(m.CreateTime),
	}
}
