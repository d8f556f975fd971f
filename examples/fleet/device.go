package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
)

// device is one terminal.
type device struct {
	line *line
	key  ed25519.PrivateKey
	id   string

	// sequence and epoch are what a real device keeps on disk.
	sequence, epoch uint64

	online  atomic.Bool
	replica int // where the session is
}

// activate makes a key and binds it to the terminal that the code stands for.
func (d *device) activate(ctx context.Context, code string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	d.key = private
	proof := ed25519.Sign(private, fmt.Appendf(nil, "tillbook-terminal-activation\n%s\n%s", code, public))
	answer := &terminalv1.ActivateResponse{}
	err = d.line.invoke(ctx, terminalv1connect.TerminalServiceActivateProcedure, nil, &terminalv1.ActivateRequest{
		ActivationCode: code, PublicKey: public, Signature: proof,
		Device: &terminalv1.Device{Model: "Fleet", SoftwareVersion: "1.0"},
	}, answer)
	d.id = answer.GetTerminal().GetTerminalId()
	return err
}

// assertionLife is how long an assertion can be used, once.
const assertionLife = 2 * time.Minute

// assertion proves, once, that the device has its key.
func (d *device) assertion() string {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": d.id, "sub": d.id, "aud": "tillbook-terminal", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		panic(err) // strings and numbers are always JSON
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"EdDSA","typ":"terminal+jwt"}`)) + "." + encode(claims)
	return text + "." + encode(ed25519.Sign(d.key, []byte(text)))
}

// authorize adds a fresh assertion to a call.
func (d *device) authorize(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Terminal "+d.assertion())
}

// createCheckout begins a sale.
func (d *device) createCheckout(ctx context.Context, key, amount string) (*checkoutv1.Checkout, error) {
	answer := &terminalv1.CreateCheckoutResponse{}
	err := d.line.invoke(ctx, terminalv1connect.TerminalServiceCreateCheckoutProcedure, d.authorize, &terminalv1.CreateCheckoutRequest{
		IdempotencyKey: key, Amount: &moneyv1.Money{Asset: asset, Amount: amount},
	}, answer)
	return answer.GetCheckout(), err
}

// events is who is told what happens at a device.
type events interface {
	// welcomed and parted say that a session is up, and that it is over.
	welcomed(*device)
	parted(*device)
	// happened is told every message once and in order; resent that one came again.
	happened(*device, *terminalv1.SessionResponse_Event)
	resent()
	beaten()
}

var sessionDesc = &grpc.StreamDesc{StreamName: "Session", ServerStreams: true, ClientStreams: true}

// stream is a session's stream; messages are sent by several goroutines.
type stream struct {
	grpc.ClientStream
	mu sync.Mutex
}

func (s *stream) say(m *terminalv1.SessionRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.SendMsg(m)
}

// welcomeTimeout bounds how long a device waits for its Welcome.
const welcomeTimeout = 30 * time.Second

// session opens a session and serves it until it ends. The handshake is the part of
// it that ends when ready is called.
func (d *device) session(ctx context.Context, to events, ready func()) error {
	ctx, cancel := context.WithCancel(d.authorize(ctx))
	defer cancel()
	patience := time.AfterFunc(welcomeTimeout, cancel)
	defer patience.Stop()
	opened, err := d.line.conn.NewStream(ctx, sessionDesc, terminalv1connect.TerminalServiceSessionProcedure, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	s := &stream{ClientStream: opened}
	hello := &terminalv1.SessionRequest_Hello{LastSequence: d.sequence, LastEpoch: d.epoch, Health: health()}
	_ = s.say(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Hello_{Hello: hello}}) // the next read says what is wrong
	var m terminalv1.SessionResponse
	if err := s.RecvMsg(&m); err != nil {
		return err
	}
	patience.Stop()
	d.epoch = m.GetWelcome().GetEpoch()
	every := time.Duration(m.GetWelcome().GetConfiguration().GetHeartbeatIntervalSeconds()) * time.Second
	ready()
	to.welcomed(d)
	defer to.parted(d)
	stop := s.beat(every)
	defer stop()
	for {
		var m terminalv1.SessionResponse
		if err := s.RecvMsg(&m); err != nil {
			return err
		}
		if err := d.take(s, &m, to); err != nil {
			return err
		}
	}
}

// take takes one message of the server's.
func (d *device) take(s *stream, m *terminalv1.SessionResponse, to events) error {
	if m.GetHeartbeat() != nil {
		to.beaten()
	}
	event := m.GetEvent()
	if event == nil {
		return nil
	}
	if event.GetSequence() > d.sequence {
		d.sequence = event.GetSequence()
		to.happened(d, event)
	} else {
		to.resent()
	}
	return s.say(&terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Acknowledgement_{
		Acknowledgement: &terminalv1.SessionRequest_Acknowledgement{Sequence: d.sequence},
	}})
}

// beat sends heartbeats until it is stopped. The first comes at a random time, as
// everything does that thousands do.
func (s *stream) beat(every time.Duration) (stop func()) {
	if every <= 0 {
		return func() {}
	}
	beat := &terminalv1.SessionRequest{Message: &terminalv1.SessionRequest_Heartbeat_{
		Heartbeat: &terminalv1.SessionRequest_Heartbeat{Health: health()},
	}}
	var timer *time.Timer
	var started sync.Mutex
	started.Lock()
	defer started.Unlock()
	timer = time.AfterFunc(jitter(every), func() {
		started.Lock()
		defer started.Unlock()
		if s.say(beat) == nil {
			timer.Reset(every)
		}
	})
	return func() {
		started.Lock()
		defer started.Unlock()
		timer.Stop()
	}
}

func health() *terminalv1.Health {
	return &terminalv1.Health{BatteryPercent: 80, Network: "wifi", SignalPercent: 70, SoftwareVersion: "1.0"}
}
