package id

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Prefix says what kind of thing an id names.
type Prefix string

// The kinds of things that have ids.
const (
	User        Prefix = "usr"
	Session     Prefix = "ses"
	Challenge   Prefix = "chl"
	Transaction Prefix = "txn"
	Operator    Prefix = "opr"
	Key         Prefix = "key"
	Hold        Prefix = "hld"
	Request     Prefix = "prq"
	Limit       Prefix = "lim"
	Audit       Prefix = "aud"
	Merchant    Prefix = "mer"
	Store       Prefix = "sto"
	Terminal    Prefix = "trm"
	Checkout    Prefix = "chk"
	Invitation  Prefix = "inv"
	Settlement  Prefix = "stl"
	Shift       Prefix = "shf"
)

// ErrInvalid says that a string is not an id of the kind that was asked for.
var ErrInvalid = errors.New("not a valid id")

// Length is the number of characters behind the prefix and its underscore.
const Length = 26

// alphabet is Crockford's base32 in lower case: no i, l, o or u. It sorts as
// the bits do.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var values = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i := range len(alphabet) {
		v[alphabet[i]] = byte(i)
	}
	return v
}()

// clock makes ids of one process strictly increasing within a millisecond.
var clock struct {
	sync.Mutex
	ms  int64
	seq uint16
}

// New returns a fresh id of this cell. Ids made later sort later, to the
// millisecond across processes and strictly within one.
func New() uuid.UUID {
	clock.Lock()
	now := time.Now().UnixMilli()
	if now > clock.ms {
		clock.ms, clock.seq = now, 0
	} else if clock.seq++; clock.seq == 1<<14 {
		clock.ms, clock.seq = clock.ms+1, 0
	}
	ms, seq := clock.ms, clock.seq
	clock.Unlock()

	var tail [8]byte
	_, _ = rand.Read(tail[:]) // never fails; it aborts the process instead
	return Compose(ms, seq, binary.BigEndian.Uint64(tail[:]))
}

// Compose lays out an id: milliseconds since 1970 (48 bits), version, cell
// number (10 bits, always 0 today), the two high bits of seq, variant, the
// other twelve bits of seq, and the low 50 bits of tail. Only the low 14 bits
// of seq count.
func Compose(ms int64, seq uint16, tail uint64) uuid.UUID {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], uint64(ms)<<16|0x7000|uint64(seq>>12&0x3))
	binary.BigEndian.PutUint64(u[8:], 0x2<<62|uint64(seq&0xfff)<<50|tail&(1<<50-1))
	return u
}

// Time is when an id was made, to the millisecond.
func Time(u uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(u[:8]) >> 16))
}

// Format writes an id for people and clients, such as "usr_06b0q7…".
func Format(p Prefix, u uuid.UUID) string {
	var b [64]byte
	return string(Append(b[:0], p, u))
}

// Append appends what Format returns to out.
func Append(out []byte, p Prefix, u uuid.UUID) []byte {
	out = append(out, p...)
	out = append(out, '_')
	hi, lo := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
	// 128 bits are 25 characters of five bits and, in front, one of three.
	for i := Length - 1; i >= 0; i-- {
		shift := uint(i * 5)
		var v uint64
		switch {
		case shift >= 64:
			v = hi >> (shift - 64)
		case shift > 59:
			v = lo>>shift | hi<<(64-shift)
		default:
			v = lo >> shift
		}
		out = append(out, alphabet[v&31])
	}
	return out
}

// Parse reads what Format wrote. It accepts only the one form that Format
// writes and fails with ErrInvalid for any other.
func Parse(p Prefix, s string) (uuid.UUID, error) {
	body, ok := strings.CutPrefix(s, string(p)+"_")
	if !ok || len(body) != Length || body[0] > '7' {
		return uuid.Nil, fmt.Errorf("%w: want %s_ and %d characters", ErrInvalid, p, Length)
	}
	var hi, lo uint64
	for i := range len(body) {
		v := values[body[i]]
		if v == 0xff {
			return uuid.Nil, fmt.Errorf("%w: character %q", ErrInvalid, body[i])
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], hi)
	binary.BigEndian.PutUint64(u[8:], lo)
	return u, nil
}
