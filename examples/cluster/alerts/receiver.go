package alerts

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// keptNotices bounds what is kept; the oldest goes first.
	keptNotices = 500
	// maxNotice bounds one mail and one call of the webhook, in bytes.
	maxNotice = 1 << 20
	// patience is how long one that sends may take.
	patience = 10 * time.Second
)

// Ways by which a notice comes.
const (
	Mail    = "mail"
	Webhook = "webhook"
)

// Notice is what somebody would have been told.
type Notice struct {
	At time.Time
	// By is Mail or Webhook, and To whom a mail is for.
	By, To string
	// Subject says in a line what it is about, and Text the rest: a mail's text, or
	// the JSON that the webhook got.
	Subject, Text string
}

// Receiver takes notices in and shows them.
type Receiver struct {
	server     *http.Server
	http, smtp net.Listener
	running    sync.WaitGroup

	mu      sync.Mutex
	notices []Notice // oldest first
	conns   map[net.Conn]bool
	closed  bool
	// Added is called with each notice, if it isn't nil.
	added func(Notice)
}

// Listen starts a receiver: the webhook and the page at one address, mail at the
// other. Added, which may be nil, is called with each notice.
func Listen(httpAddress, smtpAddress string, added func(Notice)) (_ *Receiver, err error) {
	r := &Receiver{conns: make(map[net.Conn]bool), added: added}
	if r.http, err = net.Listen("tcp", httpAddress); err != nil {
		return nil, err
	}
	if r.smtp, err = net.Listen("tcp", smtpAddress); err != nil {
		return nil, errors.Join(err, r.http.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhook", r.receive)
	mux.HandleFunc("GET /{$}", r.show)
	r.server = &http.Server{Handler: mux, ReadTimeout: patience, WriteTimeout: patience}
	r.running.Go(func() { _ = r.server.Serve(r.http) }) // both end with Close
	r.running.Go(r.acceptMail)
	return r, nil
}

// URL is its page.
func (r *Receiver) URL() string { return "http://" + r.http.Addr().String() }

// WebhookURL takes Alertmanager's JSON.
func (r *Receiver) WebhookURL() string { return r.URL() + "/webhook" }

// SMTP is the address that takes mail.
func (r *Receiver) SMTP() string { return r.smtp.Addr().String() }

// Notices returns those that are kept, newest first.
func (r *Receiver) Notices() []Notice {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.notices)
	slices.Reverse(out)
	return out
}

// Close ends it.
func (r *Receiver) Close() error {
	r.mu.Lock()
	r.closed = true
	for conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	err := errors.Join(r.server.Close(), r.smtp.Close())
	r.running.Wait()
	return err
}

func (r *Receiver) keep(n Notice) {
	n.At = time.Now()
	r.mu.Lock()
	r.notices = append(r.notices, n)
	r.notices = r.notices[max(0, len(r.notices)-keptNotices):]
	r.mu.Unlock()
	if r.added != nil {
		r.added(n)
	}
}

// receive is the webhook.
func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) {
	var group struct {
		Status            string
		CommonLabels      map[string]string
		CommonAnnotations map[string]string
	}
	var raw json.RawMessage
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxNotice)).Decode(&raw)
	if err == nil {
		err = json.Unmarshal(raw, &group)
	}
	if err != nil {
		http.Error(w, "not the JSON of Alertmanager", http.StatusBadRequest)
		return
	}
	r.keep(Notice{
		By: Webhook, Text: string(raw),
		Subject: fmt.Sprintf("[%s] %s: %s", strings.ToUpper(group.Status), group.CommonLabels["alertname"], group.CommonAnnotations["summary"]),
	})
}
