package hostile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/store/storetest"
)

// cluster is three replicas as in production: no sandbox, messages go out through a
// gateway, and a load balancer says where callers come from.
type cluster struct {
	url      string // of the database
	secret   string // file
	replicas []*replica
	sms      *gateway
	client   *http.Client
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{url: storetest.NewDatabase(t), secret: secretFile(t), sms: newGateway(t), client: h2c(t)}
	for range 3 {
		c.replicas = append(c.replicas, startReplica(t, c.url, "--secret-file", c.secret,
			"--sms-webhook-url", c.sms.url, "--trusted-proxies", "127.0.0.0/8"))
	}
	return c
}

// withstands attacks the replicas while somebody honest looks at their wallet, at one
// after the other; see withstand.
func (c *cluster) withstands(t testing.TB, name string, attack func() string) {
	t.Helper()
	who := caller{credentials: "Bearer " + c.register(t, 200).GetAccessToken(), address: "198.51.100.200"}
	withstand(t, name, c.replicas, [][]errand{looks(t, who, c.replicas...)}, func(context.Context) string { return attack() })
}

// looks are somebody's at their wallet, one at each replica.
func looks(t testing.TB, who caller, replicas ...*replica) (list []errand) {
	client := h2c(t)
	for i, r := range replicas {
		list = append(list, errand{fmt.Sprintf("look at replica %d", i), func(ctx context.Context) error {
			got := call(ctx, t, client, r, who, walletv1connect.WalletServiceGetWalletProcedure, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{})
			if got != "" {
				return errors.New(got)
			}
			return nil
		}})
	}
	return list
}

// metric is the sum over all replicas.
func (c *cluster) metric(t testing.TB, name string) (sum float64) {
	t.Helper()
	for _, r := range c.replicas {
		sum += r.metric(t, name)
	}
	return sum
}

// register registers somebody, as a caller from an address of their own.
func (c *cluster) register(t testing.TB, n int) *authv1.Session {
	t.Helper()
	phone, from := fmt.Sprintf("+62811%08d", n), caller{address: fmt.Sprintf("198.51.100.%d", n)}
	begun := &authv1.RegisterResponse{}
	if got := call(t.Context(), t, c.client, c.replicas[0], from, authv1connect.AuthServiceRegisterProcedure, &authv1.RegisterRequest{
		PhoneNumber: phone, Username: fmt.Sprintf("person.%d", n), Password: password,
	}, begun); got != "" {
		t.Fatalf("registering: %s", got)
	}
	verified := &authv1.VerifyPhoneResponse{}
	if got := call(t.Context(), t, c.client, c.replicas[0], from, authv1connect.AuthServiceVerifyPhoneProcedure, &authv1.VerifyPhoneRequest{
		ChallengeId: begun.GetChallenge().GetChallengeId(), Code: c.sms.code(t, phone),
	}, verified); got != "" {
		t.Fatalf("verifying: %s", got)
	}
	return verified.GetSession()
}

// gateway is an SMS provider behind the webhook.
type gateway struct {
	url  string
	mu   sync.Mutex
	sent map[string][]string // texts by number
}

func newGateway(t testing.TB) *gateway {
	t.Helper()
	g := &gateway{sent: make(map[string][]string)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct{ To, Text string }
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Errorf("the gateway can't read a message: %v", err)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.sent[message.To] = append(g.sent[message.To], message.Text)
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

var codePattern = regexp.MustCompile(`\b[0-9]{6}\b`)

// code waits for the message to a number and returns the code in it.
func (g *gateway) code(t testing.TB, phone string) (code string) {
	t.Helper()
	eventually(t, "a code for "+phone, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, text := range g.sent[phone] {
			code = codePattern.FindString(text)
		}
		return code != ""
	})
	return code
}

// total is how many messages were paid for.
func (g *gateway) total() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, texts := range g.sent {
		n += len(texts)
	}
	return n
}
