package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Webhook is a Gateway that posts each message as JSON {"to": …, "text": …} to
// a URL, behind which an SMS provider's own API can be called. An answer of 2xx
// means that the message was accepted; one of 4xx other than 408 and 429 that it
// never will be.
type Webhook struct {
	url    string
	client *http.Client
}

// NewWebhook returns a gateway that posts to a URL with the scheme https, or
// http to the machine itself. A user and password in it are sent as basic
// authentication.
func NewWebhook(target string) (*Webhook, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		// The parser's error quotes the URL, which may hold a password.
		return nil, errors.New("the SMS webhook is not a URL such as https://sms.example.com/send")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errors.New("the SMS webhook must be https: codes travel over it")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost = senders
	return &Webhook{
		url: target,
		client: &http.Client{
			Transport: transport,
			Timeout:   sendTimeout,
			// Codes go to the configured address and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Send posts one message.
func (w *Webhook) Send(ctx context.Context, phone, text string) error {
	body, err := json.Marshal(map[string]string{"to": phone, "text": text})
	if err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("post to the SMS webhook: bad URL")
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("post to the SMS webhook: %w", withoutURL(err))
	}
	defer res.Body.Close()
	// The connection is used again only if the answer was read.
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxWebhookAnswer))
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode/100 == 4 && res.StatusCode != http.StatusRequestTimeout &&
		res.StatusCode != http.StatusTooManyRequests:
		return fmt.Errorf("the SMS webhook answered %d: %w", res.StatusCode, ErrUndeliverable)
	default:
		return fmt.Errorf("the SMS webhook answered %d", res.StatusCode)
	}
}

const maxWebhookAnswer = 64 << 10

// withoutURL takes the URL, and with it a password, out of a client's error.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
