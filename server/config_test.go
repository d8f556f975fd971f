package server

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestAConfigThatMustNotBeIsRefused(t *testing.T) {
	tests := map[string]struct {
		config Config
		want   error
	}{
		"a sandbox open to all":            {Config{Sandbox: true, Listen: "0.0.0.0:8080"}, errOpenSandbox},
		"a sandbox open to all by default": {Config{Sandbox: true, Listen: ":8080"}, errOpenSandbox},
		"a sandbox with an open gRPC door": {Config{Sandbox: true, Listen: "127.0.0.1:0", GRPCListen: "10.0.0.1:9090"}, errOpenSandbox},
		"a sandbox under a name":           {Config{Sandbox: true, Listen: "till.example:80"}, errOpenSandbox},
		"no SMS gateway":                   {Config{Listen: "127.0.0.1:0"}, errNoGateway},
		"a sandbox for this machine":       {Config{Sandbox: true, Listen: "localhost:8080", GRPCListen: "[::1]:9090"}, nil},
		"a server with a gateway":          {Config{Listen: "0.0.0.0:8080", SMSWebhookURL: "https://sms.example/send"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.config.Check(); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestASMSGatewayMustBeAURL(t *testing.T) {
	err := Config{SMSWebhookURL: "sms.example"}.Check()
	if err == nil || !strings.Contains(err.Error(), "--sms-webhook-url") {
		t.Errorf("%v, want the flag named", err)
	}
}

func TestAServerNeedsADatabaseAndASecret(t *testing.T) {
	if _, err := New(t.Context(), Config{Sandbox: true}); !errors.Is(err, errNoDatabase) {
		t.Errorf("without a database: %v", err)
	}
	_, err := New(t.Context(), Config{SMSWebhookURL: "https://sms.example", DatabaseURL: "postgres://nowhere"})
	if !errors.Is(err, errNoSecret) {
		t.Errorf("without a secret: %v", err)
	}
}

func TestATakenPortIsOneClearSentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	addr := taken.Addr().String()
	_, err = New(t.Context(), Config{Sandbox: true, Listen: addr, DatabaseURL: "postgres://nowhere"})
	if want := addr + " is in use: stop what listens there or choose another with --listen"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = New(t.Context(), Config{Sandbox: true, Listen: "127.0.0.1:0", GRPCListen: addr, DatabaseURL: "postgres://nowhere"})
	if err == nil || !strings.Contains(err.Error(), "--grpc-listen") {
		t.Errorf("%v, want --grpc-listen named", err)
	}
}
