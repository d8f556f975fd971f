package server

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	statementv1 "github.com/tillbook/tillbook/gen/tillbook/statement/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/store/storetest"
)

// TestWhatIsOldIsReadOnTheStandbyAndMoneyOnThePrimary: the standby has stopped where it
// is, and counts as near enough all the same, so that each answer shows where it is from.
func TestWhatIsOldIsReadOnTheStandbyAndMoneyOnThePrimary(t *testing.T) {
	t.Parallel()
	primary := storetest.NewServer(t, nil)
	standby := primary.Standby()
	r := startReplica(t, primary.URL(), func(c *Config) { c.ReadURL, c.ReadMaxLag = standby.URL(), time.Hour })
	s := newStory(t, h2cClient(t), "http://"+r.Addr())
	ann, bob := s.register("+6281234567804", "ann"), s.register("+6281234567805", "bob")
	s.fund(ann, "100")
	old, err := s.pay(ann, bob, "10", "old")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pay(ann, bob, "5", "less-old"); err != nil {
		t.Fatal(err)
	}
	primary.Exec(`UPDATE transactions SET create_time = create_time - interval '2 hours'`)
	standby.Wait("the standby has it", `SELECT max(create_time) < now() - interval '1 hour' FROM transactions`)
	eventually(t, "the standby is known to have it", func() bool {
		_, metrics := get(t, "http://"+r.Addr()+"/metrics")
		return strings.Contains(metrics, "\ndb_standby_staleness_milliseconds{") || strings.Contains(metrics, "\ndb_standby_staleness_milliseconds ")
	})
	standby.Exec(`SELECT pg_wal_replay_pause()`)
	standby.Wait("the standby stops", `SELECT pg_get_wal_replay_pause_state() = 'paused'`)
	primary.Exec(`UPDATE transactions SET note = 'of the primary'`)
	if _, err := s.pay(ann, bob, "1", "new"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.wallet.RefundTransaction(s.as(bob.token), &walletv1.RefundTransactionRequest{IdempotencyKey: "back", TransactionId: old.GetTransactionId()}); err != nil {
		t.Fatal(err)
	}

	wallet, err := s.wallet.GetWallet(s.as(ann.token), &walletv1.GetWalletRequest{})
	if err != nil || wallet.GetBalances()[0].GetTotal().GetAmount() != "94.00" {
		t.Errorf("the balance: %v %v", wallet, err)
	}
	one, err := s.wallet.GetTransaction(s.as(ann.token), &walletv1.GetTransactionRequest{TransactionId: old.GetTransactionId()})
	if err != nil || one.GetTransaction().GetNote() != "of the primary" {
		t.Errorf("one transaction: %v %v", one, err)
	}
	page, err := s.wallet.ListTransactions(s.as(ann.token), &walletv1.ListTransactionsRequest{PageSize: 3})
	if err != nil || len(page.GetTransactions()) != 3 || page.GetTransactions()[2].GetNote() != "of the primary" {
		t.Fatalf("the first page: %v %v", page, err)
	}
	page, err = s.wallet.ListTransactions(s.as(ann.token), &walletv1.ListTransactionsRequest{PageSize: 1, PageToken: page.GetNextPageToken()})
	if err != nil || len(page.GetTransactions()) != 1 || page.GetTransactions()[0].GetTransactionId() != old.GetTransactionId() {
		t.Fatalf("the next page: %v %v", page, err)
	}
	if shown := page.GetTransactions()[0]; shown.GetNote() != "" || shown.GetRefunded().GetAmount() != "10.00" {
		t.Errorf("on the next page, which the standby has but for what was given back since: %v", shown)
	}
	if was, err := s.statement(ann, time.Now().Add(-time.Hour)); err != nil || !strings.Contains(was, old.GetTransactionId()) || strings.Contains(was, "of the primary") {
		t.Errorf("a statement of what is over isn't the standby's: %v\n%s", err, was)
	}
	if is, err := s.statement(ann, time.Time{}); err != nil || !strings.Contains(is, "of the primary") {
		t.Errorf("a statement until now isn't the primary's: %v\n%s", err, is)
	}
	standby.Kill()
	eventually(t, "what is over is read on the primary while there is no standby", func() bool {
		was, err := s.statement(ann, time.Now().Add(-time.Hour))
		return err == nil && strings.Contains(was, "of the primary")
	})
}

// statement writes one as CSV, until an end or until now.
func (s *story) statement(of person, end time.Time) (string, error) {
	req := &walletv1.ExportStatementRequest{Asset: "USD", StartTime: timestamppb.New(time.Now().Add(-24 * time.Hour)), Format: statementv1.StatementFormat_STATEMENT_FORMAT_CSV}
	if !end.IsZero() {
		req.EndTime = timestamppb.New(end)
	}
	stream, err := s.wallet.ExportStatement(s.as(of.token), req)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var document strings.Builder
	for {
		m, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return document.String(), nil
		}
		if err != nil {
			return "", err
		}
		document.Write(m.GetChunk())
	}
}
