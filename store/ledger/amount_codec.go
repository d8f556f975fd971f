package ledger

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/holiman/uint256"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// PostgreSQL sends a numeric as four 16-bit fields (number of base-10000
// digits, weight of the first, sign, display scale) and the digits; see
// numeric_send in its source. Amounts are integers, so the scale is 0.
const (
	numericBase     = 10_000
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericHeader   = 8
)

// registerAmount teaches a connection to send and receive Amount as numeric
// without going through big.Int.
func registerAmount(conn *pgx.Conn) {
	numeric := &pgtype.Type{Name: "numeric", OID: pgtype.NumericOID, Codec: amountCodec{}}
	conn.TypeMap().RegisterType(numeric)
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "_numeric", OID: pgtype.NumericArrayOID, Codec: &pgtype.ArrayCodec{ElementType: numeric},
	})
}

type amountCodec struct{ pgtype.NumericCodec }

func (c amountCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(Amount); ok && format == pgtype.BinaryFormatCode {
		return encodeAmountPlan{}
	}
	return c.NumericCodec.PlanEncode(m, oid, format, value)
}

func (c amountCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*Amount); ok && format == pgtype.BinaryFormatCode {
		return scanAmountPlan{}
	}
	return c.NumericCodec.PlanScan(m, oid, format, target)
}

type encodeAmountPlan struct{}

func (encodeAmountPlan) Encode(value any, buf []byte) ([]byte, error) {
	return appendNumeric(buf, value.(Amount)), nil
}

// appendNumeric appends a in PostgreSQL's binary form.
func appendNumeric(buf []byte, a Amount) []byte {
	sign := uint16(numericPositive)
	if a.Sign() < 0 {
		sign = numericNegative
		a = a.Neg()
	}
	// Least significant first. 38 digits are ten groups of four.
	var groups [10]uint16
	n := 0
	rest := a.v
	for !rest.IsUint64() {
		var low uint256.Int
		rest.DivMod(&rest, uint256.NewInt(numericBase), &low)
		groups[n] = uint16(low.Uint64())
		n++
	}
	for small := rest.Uint64(); small > 0; small /= numericBase {
		groups[n] = uint16(small % numericBase)
		n++
	}
	buf = binary.BigEndian.AppendUint16(buf, uint16(n))
	buf = binary.BigEndian.AppendUint16(buf, uint16(max(n-1, 0)))
	buf = binary.BigEndian.AppendUint16(buf, sign)
	buf = binary.BigEndian.AppendUint16(buf, 0)
	for i := n - 1; i >= 0; i-- {
		buf = binary.BigEndian.AppendUint16(buf, groups[i])
	}
	return buf
}

type scanAmountPlan struct{}

func (scanAmountPlan) Scan(src []byte, dst any) error {
	if src == nil {
		return errors.New("cannot scan NULL into an amount")
	}
	a, err := decodeNumeric(src)
	if err != nil {
		return err
	}
	*dst.(*Amount) = a
	return nil
}

func decodeNumeric(src []byte) (Amount, error) {
	if len(src) < numericHeader {
		return Amount{}, errors.New("numeric is too short")
	}
	n := int(binary.BigEndian.Uint16(src))
	weight := int(int16(binary.BigEndian.Uint16(src[2:])))
	sign := binary.BigEndian.Uint16(src[4:])
	if len(src) != numericHeader+2*n || sign != numericPositive && sign != numericNegative {
		return Amount{}, errors.New("numeric is malformed")
	}
	if n == 0 {
		return Amount{}, nil
	}
	if weight < n-1 || weight > 9 {
		return Amount{}, errors.New("numeric is not an integer of at most 38 digits")
	}
	// Trailing zero groups are not sent: the weight says how many there are.
	var a Amount
	base := uint256.NewInt(numericBase)
	for i := range weight + 1 {
		a.v.Mul(&a.v, base)
		if i < n {
			a.v.AddUint64(&a.v, uint64(binary.BigEndian.Uint16(src[numericHeader+2*i:])))
		}
	}
	if !a.inRange() {
		return Amount{}, ErrAmountRange
	}
	if sign == numericNegative {
		a = a.Neg()
	}
	return a, nil
}

// Scan reads a numeric in text form, so that an Amount can also be scanned on
// connections that no ledger prepared.
func (a *Amount) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("cannot scan %T into an amount", src)
	}
	parsed, err := ParseDecimal(s, 0)
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// Value sends a in text form, the counterpart of Scan.
func (a Amount) Value() (driver.Value, error) { return a.String(), nil }
