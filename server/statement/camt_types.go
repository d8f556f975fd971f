package statement

import (
	camt "github.com/moov-io/iso20022/pkg/camt_v08"
	"github.com/moov-io/iso20022/pkg/common"
	"github.com/moov-io/iso20022/pkg/utils"
)

// The complex types of camt.053.001.08, as far as they are used, with their fields
// in the schema's order. Where the schema has a choice, the type has the branch
// that is taken.

// validated obeys rules of the schema.
type validated interface {
	Validate() error
}

// dateTime is an ISODateTime with the offset of its time zone, which the library's
// lacks.
type dateTime string

// Validate passes: dateTimes are made by formatting a time.
func (t dateTime) Validate() error { return nil }

type groupHeader struct {
	MsgID   common.Max35Text `xml:"MsgId"`
	CreDtTm dateTime         `xml:"CreDtTm"`
}

// Validate applies the rules of the fields.
func (g groupHeader) Validate() error { return utils.Validate(&g) }

type period struct {
	From dateTime `xml:"FrDtTm"`
	To   dateTime `xml:"ToDtTm"`
}

// Validate applies the rules of the fields.
func (p period) Validate() error { return utils.Validate(&p) }

type account struct {
	ID  accountID                           `xml:"Id"`
	Ccy common.ActiveOrHistoricCurrencyCode `xml:"Ccy"`
	Nm  *common.Max70Text                   `xml:"Nm,omitempty"`
}

// Validate applies the rules of the fields.
func (a account) Validate() error { return utils.Validate(&a) }

type accountID struct {
	Othr otherID `xml:"Othr"`
}

// Validate applies the rules of the fields.
func (a accountID) Validate() error { return utils.Validate(&a) }

type otherID struct {
	ID common.Max34Text `xml:"Id"`
}

// Validate applies the rules of the fields.
func (o otherID) Validate() error { return utils.Validate(&o) }

// amount is exact, which the library's isn't.
type amount struct {
	Value string                              `xml:",chardata"`
	Ccy   common.ActiveOrHistoricCurrencyCode `xml:"Ccy,attr"`
}

// Validate applies the rules of the fields; fits knows those of the value.
func (a amount) Validate() error { return utils.Validate(&a) }

type balance struct {
	Tp        balanceType            `xml:"Tp"`
	Amt       amount                 `xml:"Amt"`
	CdtDbtInd common.CreditDebitCode `xml:"CdtDbtInd"`
	Dt        moment                 `xml:"Dt"`
}

// Validate applies the rules of the fields.
func (b balance) Validate() error { return utils.Validate(&b) }

type balanceType struct {
	CdOrPrtry balanceCode `xml:"CdOrPrtry"`
}

// Validate applies the rules of the fields.
func (b balanceType) Validate() error { return utils.Validate(&b) }

type balanceCode struct {
	Cd camt.ExternalBalanceType1Code `xml:"Cd"`
}

// Validate applies the rules of the fields.
func (b balanceCode) Validate() error { return utils.Validate(&b) }

type moment struct {
	DtTm dateTime `xml:"DtTm"`
}

// Validate applies the rules of the fields.
func (m moment) Validate() error { return utils.Validate(&m) }

type summary struct {
	Total total `xml:"TtlNtries"`
}

// Validate applies the rules of the fields.
func (s summary) Validate() error { return utils.Validate(&s) }

type total struct {
	Entries common.Max15NumericText `xml:"NbOfNtries"`
}

// Validate applies the rules of the fields.
func (t total) Validate() error { return utils.Validate(&t) }

type entry struct {
	NtryRef     common.Max35Text       `xml:"NtryRef"`
	Amt         amount                 `xml:"Amt"`
	CdtDbtInd   common.CreditDebitCode `xml:"CdtDbtInd"`
	RvslInd     bool                   `xml:"RvslInd,omitempty"`
	Sts         entryStatus            `xml:"Sts"`
	BookgDt     moment                 `xml:"BookgDt"`
	ValDt       moment                 `xml:"ValDt"`
	AcctSvcrRef common.Max35Text       `xml:"AcctSvcrRef"`
	BkTxCd      transactionCode        `xml:"BkTxCd"`
	NtryDtls    entryDetails           `xml:"NtryDtls"`
}

// Validate applies the rules of the fields.
func (e entry) Validate() error { return utils.Validate(&e) }

type entryStatus struct {
	Cd camt.ExternalEntryStatus1Code `xml:"Cd"`
}

// Validate applies the rules of the fields.
func (e entryStatus) Validate() error { return utils.Validate(&e) }

type transactionCode struct {
	Prtry proprietaryCode `xml:"Prtry"`
}

// Validate applies the rules of the fields.
func (t transactionCode) Validate() error { return utils.Validate(&t) }

type proprietaryCode struct {
	Cd   common.Max35Text `xml:"Cd"`
	Issr common.Max35Text `xml:"Issr"`
}

// Validate applies the rules of the fields.
func (p proprietaryCode) Validate() error { return utils.Validate(&p) }

type entryDetails struct {
	TxDtls transactionDetails `xml:"TxDtls"`
}

// Validate applies the rules of the fields.
func (e entryDetails) Validate() error { return utils.Validate(&e) }

type transactionDetails struct {
	Refs      references             `xml:"Refs"`
	Amt       amount                 `xml:"Amt"`
	CdtDbtInd common.CreditDebitCode `xml:"CdtDbtInd"`
	RltdPties *parties               `xml:"RltdPties,omitempty"`
	RmtInf    *remittance            `xml:"RmtInf,omitempty"`
}

// Validate applies the rules of the fields.
func (t transactionDetails) Validate() error { return utils.Validate(&t) }

type references struct {
	AcctSvcrRef common.Max35Text `xml:"AcctSvcrRef"`
}

// Validate applies the rules of the fields.
func (r references) Validate() error { return utils.Validate(&r) }

type parties struct {
	Dbtr *party `xml:"Dbtr,omitempty"`
	Cdtr *party `xml:"Cdtr,omitempty"`
}

// Validate applies the rules of the fields.
func (p parties) Validate() error { return utils.Validate(&p) }

type party struct {
	Pty partyName `xml:"Pty"`
}

// Validate applies the rules of the fields.
func (p party) Validate() error { return utils.Validate(&p) }

type partyName struct {
	Nm common.Max140Text `xml:"Nm"`
}

// Validate applies the rules of the fields.
func (p partyName) Validate() error { return utils.Validate(&p) }

type remittance struct {
	Ustrd []common.Max140Text `xml:"Ustrd"`
}

// Validate applies the rules of the fields.
func (r remittance) Validate() error { return utils.Validate(&r) }
