package statement

import (
	"bufio"
	"encoding/csv"
	"strings"

	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// columns are the fields of each record. The opening and the closing line have a
// time, a type, a balance and an asset.
var columns = []string{"time", "type", "transaction_id", "counterparty", "note", "amount", "balance", "asset"}

// The types of the first and the last line; those between have the kinds of their
// transactions.
const (
	typeOpening = "opening_balance"
	typeClosing = "closing_balance"
)

// csvDocument is a statement for people and their spreadsheets.
type csvDocument struct {
	*header
	out *csv.Writer
}

func newCSV(h *header, out *bufio.Writer) *csvDocument {
	d := &csvDocument{header: h, out: csv.NewWriter(out)}
	d.out.UseCRLF = true // as RFC 4180 says
	return d
}

func (d *csvDocument) begin() error {
	if err := d.out.Write(columns); err != nil {
		return err
	}
	return d.out.Write([]string{
		d.stamp(d.Start), typeOpening, "", "", "", "", d.Opening.Decimal(d.asset.Exponent), d.asset.Code,
	})
}

func (d *csvDocument) entry(e *ledger.AccountEntry, counterparty string) error {
	return d.out.Write([]string{
		d.stamp(e.Transaction.CreateTime),
		e.Transaction.Kind.String(),
		id.Format(id.Transaction, e.Transaction.ID),
		Inert(counterparty),
		Inert(e.Transaction.Note),
		e.Amount.Decimal(d.asset.Exponent),
		e.Balance.Decimal(d.asset.Exponent),
		d.asset.Code,
	})
}

func (d *csvDocument) end() error {
	err := d.out.Write([]string{
		d.stamp(d.End), typeClosing, "", "", "", "", d.Closing.Decimal(d.asset.Exponent), d.asset.Code,
	})
	if err != nil {
		return err
	}
	d.out.Flush()
	return d.out.Error()
}

// Inert keeps a spreadsheet from running a text that somebody else wrote: one that
// it would take for a formula, white space before it or not, gets an apostrophe,
// which spreadsheets don't show.
func Inert(text string) string {
	trimmed := strings.TrimLeft(text, " \u00a0\u3000\t\r\n")
	if strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "\r") ||
		trimmed != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(trimmed)[0]) {
		return "'" + text
	}
	return text
}
