package server

import (
	"log/slog"
	"net"
	"net/http"
	"testing"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/otlptest"
	"github.com/tillbook/tillbook/store/storetest"
)

// TestTracesAreOffUnlessTheyHaveSomewhereToGo: off means that nothing of it is
// in the way of a call.
func TestTracesAreOffUnlessTheyHaveSomewhereToGo(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		want bool
	}{
		"by default":            {nil, false},
		"with an endpoint":      {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, true},
		"with one for traces":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, true},
		"with an exporter":      {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		"told not to":           {map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, false},
		"with the SDK disabled": {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for key, value := range tt.env {
				t.Setenv(key, value)
			}
			tel, err := newTelemetry(t.Context(), "test", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tel.close() })
			interceptor, err := tel.interceptor(nil)
			if err != nil {
				t.Fatal(err)
			}
			if on := interceptor != nil; on != tt.want || (tel.queryTracer() != nil) != tt.want {
				t.Errorf("on: %v, want %v", on, tt.want)
			}
		})
	}
}

func TestAFailedCallNamesItsTraceAndItsRequestInTheLog(t *testing.T) {
	otlptest.Start(t)
	h := start(t)
	call := curlClient(h.url(""))
	f := call(t, getWalletProcedure, "", &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
	if f == nil {
		t.Fatal("no error")
	}
	lines := h.log.failures(t)
	if len(lines) != 1 || lines[0]["trace_id"] == nil || lines[0]["span_id"] == nil || lines[0]["request_id"] != f.header {
		t.Errorf("log: %v", lines)
	}
}

// TestAReceiverOfTracesThatHangsHoldsNothingUp: it takes connections and whatever is
// sent, and never answers.
func TestAReceiverOfTracesThatHangsHoldsNothingUp(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			deaf, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = deaf.Close() })
			connected := make(chan struct{}, 100)
			go func() {
				for {
					conn, err := deaf.Accept()
					if err != nil {
						return
					}
					t.Cleanup(func() { _ = conn.Close() })
					connected <- struct{}{}
				}
			}()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+deaf.Addr().String())
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
			t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16") // is full at once

			r := startReplica(t, storetest.URL(storetest.New(t)))
			s := newStory(t, &http.Client{}, "http://"+r.Addr())
			ann, bob := s.register("+6281234567804", "ann"), s.register("+6281234567805", "bob")
			s.fund(ann, "10")
			<-connected
			for _, key := range []string{"1", "2", "3", "4", "5"} {
				if _, err := s.pay(ann, bob, "1", key); err != nil {
					t.Error(err)
				}
			}
			if _, err := s.wallet.GetWallet(s.as(ann.token), &walletv1.GetWalletRequest{}); err != nil {
				t.Error(err)
			}
			// With a receiver that never answers this would never return if it waited.
			if err := r.stop(); err != nil {
				t.Errorf("the server didn't stop in order: %v", err)
			}
		})
	}
}
