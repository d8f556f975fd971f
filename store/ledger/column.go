package ledger

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// column is an array in PostgreSQL's binary form (see array_send in its source):
// a parameter of a batch's statements, written value by value as the batch is
// walked through. Its element type has to be that of the parameter. NULLs at the
// end are left out, since unnest puts them there again: a column of nothing else
// costs nothing.
type column struct {
	element uint32 // the OID of the elements' type
	count   uint32 // of what is in data
	nulls   bool   // whether there are any in data
	missing uint32 // NULLs behind them
	data    []byte
}

// newColumn has room for so many values of so many bytes.
func newColumn(element uint32, values, size int) *column {
	return &column{element: element, data: make([]byte, 0, values*(4+size))}
}

func (c *column) null() { c.missing++ }

// begin makes room for a value of so many bytes, which the caller appends.
func (c *column) begin(size uint32) {
	for ; c.missing > 0; c.missing-- {
		c.nulls = true
		c.count++
		c.data = binary.BigEndian.AppendUint32(c.data, 1<<32-1)
	}
	c.count++
	c.data = binary.BigEndian.AppendUint32(c.data, size)
}

func (c *column) int16(v int16) {
	c.begin(2)
	c.data = binary.BigEndian.AppendUint16(c.data, uint16(v))
}

func (c *column) int64(v int64) {
	c.begin(8)
	c.data = binary.BigEndian.AppendUint64(c.data, uint64(v))
}

func (c *column) bool(v bool) {
	c.begin(1)
	b := byte(0)
	if v {
		b = 1
	}
	c.data = append(c.data, b)
}

func (c *column) bytes(v []byte) {
	c.begin(uint32(len(v)))
	c.data = append(c.data, v...)
}

// text is NULL if it is empty.
func (c *column) text(v string) {
	if v == "" {
		c.null()
		return
	}
	c.begin(uint32(len(v)))
	c.data = append(c.data, v...)
}

func (c *column) uuid(v [16]byte) {
	c.begin(16)
	c.data = append(c.data, v[:]...)
}

func (c *column) amount(v Amount) {
	c.begin(0)
	start := len(c.data)
	c.data = appendNumeric(c.data, v)
	binary.BigEndian.PutUint32(c.data[start-4:], uint32(len(c.data)-start))
}

// time is a timestamptz; the zero time is '-infinity'.
func (c *column) time(v time.Time) {
	if v.IsZero() {
		c.int64(minusInfinity)
		return
	}
	c.int64(v.UnixMicro() - epoch)
}

func (c *column) place(v pgtype.TID) {
	c.begin(6)
	c.data = binary.BigEndian.AppendUint32(c.data, v.BlockNumber)
	c.data = binary.BigEndian.AppendUint16(c.data, v.OffsetNumber)
}

// PostgreSQL counts microseconds from 2000 on; epoch is that in Unix's count.
const (
	epoch         = 946_684_800_000_000
	minusInfinity = -1 << 63
	infinity      = 1<<63 - 1
)

// columnCodec lets an array type's codec take a column as it is.
type columnCodec struct{ pgtype.Codec }

func (c columnCodec) PreferredFormat() int16 { return pgtype.BinaryFormatCode }

func (c columnCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(*column); ok && format == pgtype.BinaryFormatCode {
		return encodeColumnPlan{}
	}
	return c.Codec.PlanEncode(m, oid, format, value)
}

type encodeColumnPlan struct{}

func (encodeColumnPlan) Encode(value any, buf []byte) ([]byte, error) {
	c := value.(*column)
	var nulls uint32
	if c.nulls {
		nulls = 1
	}
	if c.count == 0 {
		buf = binary.BigEndian.AppendUint32(buf, 0) // dimensions
		buf = binary.BigEndian.AppendUint32(buf, nulls)
		return binary.BigEndian.AppendUint32(buf, c.element), nil
	}
	buf = binary.BigEndian.AppendUint32(buf, 1)
	buf = binary.BigEndian.AppendUint32(buf, nulls)
	buf = binary.BigEndian.AppendUint32(buf, c.element)
	buf = binary.BigEndian.AppendUint32(buf, c.count)
	buf = binary.BigEndian.AppendUint32(buf, 1) // the first index
	return append(buf, c.data...), nil
}

// registerColumns teaches a connection to send columns.
func registerColumns(conn *pgx.Conn) {
	m := conn.TypeMap()
	for _, oid := range []uint32{
		pgtype.Int2ArrayOID, pgtype.Int4ArrayOID, pgtype.Int8ArrayOID, pgtype.BoolArrayOID, pgtype.NumericArrayOID,
		pgtype.ByteaArrayOID, pgtype.TextArrayOID, pgtype.UUIDArrayOID, pgtype.TimestamptzArrayOID, pgtype.TIDArrayOID,
	} {
		if t, ok := m.TypeForOID(oid); ok {
			m.RegisterType(&pgtype.Type{Name: t.Name, OID: oid, Codec: columnCodec{t.Codec}})
		}
	}
}

// fields reads the values of a row that PostgreSQL sent in binary form, or, as
// it sends text and JSON, as text. It remembers the first error.
type fields struct {
	values [][]byte
	err    error
}

var errField = errors.New("a row is not of the form that was asked for")

// next returns the next value, which has so many bytes, or any number if size is
// below 0.
func (f *fields) next(size int) []byte {
	if len(f.values) == 0 {
		f.err = errField
		return make([]byte, max(size, 0))
	}
	v := f.values[0]
	f.values = f.values[1:]
	if size >= 0 && len(v) != size {
		f.err = errField
		return make([]byte, size)
	}
	return v
}

// id is a bigint, or 0 for NULL.
func (f *fields) id() AccountID {
	if len(f.values) > 0 && f.values[0] == nil {
		f.next(-1)
		return 0
	}
	return AccountID(f.int64())
}

func (f *fields) int16() int16 { return int16(binary.BigEndian.Uint16(f.next(2))) }
func (f *fields) int64() int64 { return int64(binary.BigEndian.Uint64(f.next(8))) }
func (f *fields) text() string { return string(f.next(-1)) }

func (f *fields) amount() Amount {
	a, err := decodeNumeric(f.next(-1))
	if err != nil {
		f.err = err
	}
	return a
}

// floor is an amount, or nil for NULL. Nearly every floor is zero.
func (f *fields) floor() *Amount {
	if len(f.values) > 0 && f.values[0] == nil {
		f.next(-1)
		return nil
	}
	a := f.amount()
	if a.IsZero() {
		return &zeroFloor
	}
	return &a
}

var zeroFloor Amount

// time is a timestamptz; '-infinity' is the zero time.
func (f *fields) time() time.Time {
	switch v := f.int64(); v {
	case minusInfinity:
		return time.Time{}
	case infinity:
		f.err = errField
		return time.Time{}
	default:
		return time.UnixMicro(v + epoch)
	}
}

func (f *fields) place() pgtype.TID {
	v := f.next(6)
	return pgtype.TID{BlockNumber: binary.BigEndian.Uint32(v), OffsetNumber: binary.BigEndian.Uint16(v[4:]), Valid: true}
}

// bytes returns a copy, or nil for NULL.
func (f *fields) bytes() []byte {
	v := f.next(-1)
	if v == nil {
		return nil
	}
	return append([]byte{}, v...)
}
