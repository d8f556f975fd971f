package wallet_test

import (
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	camt "github.com/moov-io/iso20022/pkg/camt_v08"

	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/ledger"
)

// camtMessage is a statement as the schema's library reads it.
type camtMessage struct {
	XMLName   xml.Name                        `xml:"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08 Document"`
	Statement camt.BankToCustomerStatementV08 `xml:"BkToCstmrStmt"`
}

// exact has the amounts that the library reads in floating point.
type exact struct {
	Balances []exactAmount `xml:"BkToCstmrStmt>Stmt>Bal"`
	Entries  []exactAmount `xml:"BkToCstmrStmt>Stmt>Ntry"`
}

type exactAmount struct {
	Amount    string `xml:"Amt"`
	Direction string `xml:"CdtDbtInd"`
}

func (e exactAmount) signed(t testing.TB) ledger.Amount {
	t.Helper()
	a, err := ledger.ParseDecimal(e.Amount, 2)
	if err != nil {
		t.Fatal(err)
	}
	if e.Direction == "DBIT" {
		return a.Neg()
	}
	return a
}

func TestACamtStatementIsReadByItsLibraryAndTies(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "1234567890123456.78 USD")
	note := strings.Repeat("Miete & <Strom> 🏠 ", 7)
	req := transfer("rent", "12.5 USD", byID(bob))
	req.Note = note
	paid := mustPay(t, r.as(alice), req)
	books.Fund(t, alice, "0.01 USD")
	document := mustExport(t, r.as(alice), fromTheStart("USD", asCamt))

	var read camtMessage
	if err := xml.Unmarshal([]byte(document), &read); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	statement := read.Statement.Stmt[0]
	if len(statement.Ntry) != 3 || string(*statement.TxsSummry.TtlNtries.NbOfNtries) != "3" {
		t.Fatalf("it has %d entries:\n%s", len(statement.Ntry), document)
	}
	entry := statement.Ntry[1]
	details := entry.NtryDtls[0].TxDtls[0]
	if string(*entry.AcctSvcrRef) != paid.GetTransactionId() || string(entry.CdtDbtInd) != "DBIT" ||
		string(entry.BkTxCd.Prtry.Cd) != "transfer" || string(*details.RltdPties.Cdtr.Pty.Nm) != "b***y" {
		t.Errorf("the payment is\n%s", document)
	}
	var rest strings.Builder
	for _, piece := range details.RmtInf.Ustrd {
		if err := piece.Validate(); err != nil || !utf8.ValidString(string(piece)) {
			t.Errorf("of the note a piece is %q: %v", piece, err)
		}
		rest.WriteString(string(piece))
	}
	if rest.String() != note {
		t.Errorf("the note is %q, want %q", rest.String(), note)
	}
	wantTie(t, document)
}

// wantTie fails the test unless opening and entries make the closing balance.
func wantTie(t testing.TB, document string) {
	t.Helper()
	var amounts exact
	if err := xml.Unmarshal([]byte(document), &amounts); err != nil {
		t.Fatal(err)
	}
	sum := amounts.Balances[0].signed(t)
	for _, e := range amounts.Entries {
		var err error
		if sum, err = sum.Add(e.signed(t)); err != nil {
			t.Fatal(err)
		}
	}
	if closing := amounts.Balances[1].signed(t); sum != closing || closing.IsZero() {
		t.Errorf("the entries lead to %s, it closes at %s", sum, closing)
	}
}
