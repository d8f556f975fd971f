package statement

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"strconv"
	"strings"
	"unicode/utf8"

	camt "github.com/moov-io/iso20022/pkg/camt_v08"
	"github.com/moov-io/iso20022/pkg/common"
	"golang.org/x/text/currency"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// namespace is that of the message in this version.
const namespace = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"

// The schema's bounds of an amount.
const (
	maxAmountDigits   = 18
	maxAmountDecimals = 5
)

const (
	issuer = "Tillbook" // of the codes of entries
	booked = camt.ExternalEntryStatus1Code("BOOK")
	credit = common.CreditDebitCode("CRDT")
	debit  = common.CreditDebitCode("DBIT")
)

// camtDocument is a statement for banks. Elements are written as they are known,
// inside of others that stay open.
type camtDocument struct {
	*header
	out  *xml.Encoder
	open []xml.StartElement
}

// newCamt refuses what the schema can't show.
func newCamt(h *header, out *bufio.Writer) (*camtDocument, error) {
	if _, err := currency.ParseISO(h.asset.Code); err != nil || h.asset.Network != "" {
		return nil, unsupported("ISO 4217 has no code for %s.", h.asset.Code)
	}
	if h.asset.Exponent > maxAmountDecimals {
		return nil, unsupported("%s has more than %d decimals.", h.asset.Code, maxAmountDecimals)
	}
	for _, balance := range []ledger.Amount{h.Opening, h.Closing} {
		if err := h.fits(balance); err != nil {
			return nil, err
		}
	}
	d := &camtDocument{header: h, out: xml.NewEncoder(out)}
	d.out.Indent("", " ")
	return d, nil
}

func unsupported(format string, args ...any) *rpc.Error {
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_STATEMENT_FORMAT_UNSUPPORTED, format, args...).
		WithField("format", "must be one that can show the account")
}

// fits refuses amounts that the schema hasn't room for.
func (h *header) fits(a ledger.Amount) error {
	digits := strings.TrimLeft(strings.ReplaceAll(a.Abs().Decimal(h.asset.Exponent), ".", ""), "0")
	if len(digits) > maxAmountDigits {
		return unsupported("An amount has more than %d digits.", maxAmountDigits)
	}
	return nil
}

func (d *camtDocument) begin() error {
	if err := d.out.EncodeToken(xml.ProcInst{Target: "xml", Inst: []byte(`version="1.0" encoding="UTF-8"`)}); err != nil {
		return err
	}
	document := element("Document")
	document.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}
	if err := d.start(document, element("BkToCstmrStmt")); err != nil {
		return err
	}
	name, end := d.name(), dateTime(d.stamp(d.End))
	if err := d.write("GrpHdr", groupHeader{MsgID: name, CreDtTm: end}); err != nil {
		return err
	}
	if err := d.start(element("Stmt")); err != nil {
		return err
	}
	for _, e := range []struct {
		name  string
		value validated
	}{
		{"Id", name},
		{"CreDtTm", end},
		{"FrToDt", period{From: dateTime(d.stamp(d.Start)), To: end}},
		{"Acct", d.account()},
		{"Bal", d.balance("OPBD", d.Opening, dateTime(d.stamp(d.Start)))},
		{"Bal", d.balance("CLBD", d.Closing, end)},
	} {
		if err := d.write(e.name, e.value); err != nil {
			return err
		}
	}
	return d.write("TxsSummry", summary{Total: total{
		Entries: common.Max15NumericText(strconv.FormatInt(d.Entries(), 10)),
	}})
}

func (d *camtDocument) entry(e *ledger.AccountEntry, counterparty string) error {
	if err := d.fits(e.Amount); err != nil {
		return err
	}
	txn := &e.Transaction
	reference := common.Max35Text(id.Format(id.Transaction, txn.ID))
	shown := entry{
		NtryRef:     common.Max35Text(strconv.FormatInt(e.Version, 10)),
		Amt:         d.amount(e.Amount),
		CdtDbtInd:   direction(e.Amount),
		RvslInd:     txn.Kind == ledger.KindReversal,
		Sts:         entryStatus{Cd: booked},
		BookgDt:     moment{DtTm: dateTime(d.stamp(txn.CreateTime))},
		ValDt:       moment{DtTm: dateTime(d.stamp(txn.CreateTime))},
		AcctSvcrRef: reference,
		BkTxCd:      transactionCode{Prtry: proprietaryCode{Cd: common.Max35Text(txn.Kind.String()), Issr: issuer}},
		NtryDtls: entryDetails{TxDtls: transactionDetails{
			Refs: references{AcctSvcrRef: reference}, Amt: d.amount(e.Amount), CdtDbtInd: direction(e.Amount),
		}},
	}
	details := &shown.NtryDtls.TxDtls
	if pieces := split(counterparty); len(pieces) > 0 {
		other := &party{Pty: partyName{Nm: pieces[0]}}
		details.RltdPties = &parties{Cdtr: other}
		if shown.CdtDbtInd == credit {
			details.RltdPties = &parties{Dbtr: other}
		}
	}
	if pieces := split(txn.Note); len(pieces) > 0 {
		details.RmtInf = &remittance{Ustrd: pieces}
	}
	return d.write("Ntry", shown)
}

func (d *camtDocument) end() error {
	for i := len(d.open) - 1; i >= 0; i-- {
		if err := d.out.EncodeToken(d.open[i].End()); err != nil {
			return err
		}
	}
	return d.out.Close()
}

// start opens elements, which end closes.
func (d *camtDocument) start(elements ...xml.StartElement) error {
	for _, e := range elements {
		if err := d.out.EncodeToken(e); err != nil {
			return err
		}
		d.open = append(d.open, e)
	}
	return nil
}

// write writes an element that obeys the schema's rules.
func (d *camtDocument) write(name string, value validated) error {
	if err := value.Validate(); err != nil {
		return err
	}
	return d.out.EncodeElement(value, element(name))
}

func element(name string) xml.StartElement {
	return xml.StartElement{Name: xml.Name{Local: name}}
}

// name is the statement's id and the message's: the same for the same entries of
// the same range.
func (d *camtDocument) name() common.Max35Text {
	return common.Max35Text(digest(d.Code, d.stamp(d.Start.UTC()), d.stamp(d.End.UTC()),
		strconv.FormatInt(d.After, 10), strconv.FormatInt(d.Last, 10)))
}

// account has the code for a name where there is room, and for an id if there is
// more of it.
func (d *camtDocument) account() account {
	shown := account{Ccy: common.ActiveOrHistoricCurrencyCode(d.asset.Code)}
	shown.ID.Othr.ID = common.Max34Text(d.Code)
	if shown.ID.Othr.ID.Validate() != nil {
		shown.ID.Othr.ID = common.Max34Text(digest(d.Code))
	}
	if name := common.Max70Text(d.Code); name.Validate() == nil {
		shown.Nm = &name
	}
	return shown
}

// digest makes 32 characters of some texts.
func digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\n")))
	return hex.EncodeToString(sum[:16])
}

func (d *camtDocument) balance(code camt.ExternalBalanceType1Code, a ledger.Amount, at dateTime) balance {
	shown := balance{Amt: d.amount(a), CdtDbtInd: direction(a), Dt: moment{DtTm: at}}
	shown.Tp.CdOrPrtry.Cd = code
	return shown
}

func (d *camtDocument) amount(a ledger.Amount) amount {
	return amount{
		Value: a.Abs().Decimal(d.asset.Exponent),
		Ccy:   common.ActiveOrHistoricCurrencyCode(d.asset.Code),
	}
}

// direction is the sign of an amount, which itself has none.
func direction(a ledger.Amount) common.CreditDebitCode {
	if a.Sign() < 0 {
		return debit
	}
	return credit
}

// split cuts a text into pieces that fit; none if it is empty. The schema counts
// characters, its library bytes: this obeys both.
func split(text string) []common.Max140Text {
	const most = 140 // bytes
	var pieces []common.Max140Text
	for len(text) > most {
		cut := most
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		pieces = append(pieces, common.Max140Text(text[:cut]))
		text = text[cut:]
	}
	if text != "" {
		pieces = append(pieces, common.Max140Text(text))
	}
	return pieces
}
