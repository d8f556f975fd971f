package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"text/template"
)

// playAndStay plays the demo against a server of this process, then prints what
// to try next. The operator whose key is among it stays until the context ends.
func (cmd serveCmd) playAndStay(ctx context.Context, out io.Writer, serverURL string, db *database) (err error) {
	operator, err := hire(ctx, db.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, operator.dismiss()) }()

	s := &story{out: out, url: serverURL, operatorKey: operator.key}
	defer s.close()
	if err := s.play(ctx); err != nil {
		return err
	}
	if err := s.invite(out, invited{page: cmd.WebDir != "", private: db.private != nil, where: cmd.whereAgain()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// whereAgain is what other commands need to find the same database.
func (cmd serveCmd) whereAgain() string {
	if cmd.DataDir == defaultDataDir {
		return ""
	}
	return fmt.Sprintf(" --data-dir %q", cmd.DataDir)
}

// invited is what there is to invite to.
type invited struct {
	// page says whether a page is served.
	page bool
	// private says whether the database is this machine's own.
	private bool
	// where is what other commands need to find it.
	where string
}

// invite prints commands that go on with the demo's two people.
func (s *story) invite(out io.Writer, to invited) error {
	server, err := url.Parse(s.url)
	if err != nil {
		return fmt.Errorf("read the server's address: %w", err)
	}
	return invitation.Execute(out, map[string]any{
		"URL":      s.url,
		"Host":     server.Host,
		"Ada":      s.ada.client.Session().GetAccessToken(),
		"AdaPhone": s.ada.phone,
		"BenName":  s.ben.username,
		"Operator": s.operatorKey,
		"Page":     to.page,
		"Private":  to.private,
		"Where":    to.where,
	})
}

var invitation = template.Must(template.New("").Parse(`
The server stays up at {{.URL}} until Ctrl-C.
{{- if .Page}} Open that for a wallet and a shop counter.{{end}} In another terminal:

  # Who calls: Ada, for the next 15 minutes, and an operator, while this runs.
  ADA={{.Ada}}
  OPERATOR={{.Operator}}

  # Connect is JSON over HTTP: Ada's money, and a payment.
  curl -H "Authorization: Bearer $ADA" -H 'Content-Type: application/json' \
    {{.URL}}/tillbook.wallet.v1.WalletService/GetWallet -d '{}'
  curl -H "Authorization: Bearer $ADA" -H 'Content-Type: application/json' \
    {{.URL}}/tillbook.wallet.v1.WalletService/Transfer \
    -d '{"idempotency_key": "coffee-1", "recipient": {"username": "{{.BenName}}"}, "amount": {"asset": "USD", "amount": "3.20"}, "note": "Coffee"}'

  # The same over gRPC: what there is, Ada's wallet live, more money.
  bin/grpcurl -plaintext {{.Host}} list
  bin/grpcurl -plaintext -H "authorization: Bearer $ADA" {{.Host}} tillbook.wallet.v1.WalletService/WatchWallet
  bin/grpcurl -plaintext -d '{"phone_number": "{{.AdaPhone}}", "amount": {"asset": "USD", "amount": "50"}, "idempotency_key": "gift-1"}' \
    {{.Host}} tillbook.sandbox.v1.SandboxService/Fund

  # The books: what all of it sums to, the proof, the rows.
  bin/grpcurl -plaintext -H "authorization: Bearer $OPERATOR" {{.Host}} tillbook.ledger.v1.LedgerService/GetTrialBalance
{{- if .Private}}
  bin/tillbook verify{{.Where}}
  psql "$(bin/tillbook database-url{{.Where}})"
{{- end}}

  # From Go: examples/quickstart, with package sdk.
  go run ./examples/quickstart --url {{.URL}}

`))
