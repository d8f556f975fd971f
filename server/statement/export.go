package statement

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"time"
	_ "time/tzdata" // time zones, wherever the server runs

	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	statementv1 "github.com/tillbook/tillbook/gen/tillbook/statement/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// Request is what both services' requests have in common.
type Request interface {
	GetStartTime() *timestamppb.Timestamp
	GetEndTime() *timestamppb.Timestamp
	GetFormat() statementv1.StatementFormat
	GetTimeZone() string
}

// Source is what a statement is made of.
type Source struct {
	// Ledger holds the entries.
	Ledger *ledger.Ledger
	// Past is where what is over is read; nil for the ledger's database.
	Past *store.Past
	// Account is the account's code.
	Account string
	// Counterparties names the other side of each of some entries, as whoever asks
	// may see it.
	Counterparties func(context.Context, []ledger.AccountEntry) ([]string, error)
	// Send sends the next piece, which nobody else holds. It waits for clients that
	// read slowly.
	Send func([]byte) error
}

const (
	maxRange  = 3660 * 24 * time.Hour
	pageSize  = 500
	chunkSize = 32 << 10 // bytes
)

// endOfTime stands for no end.
var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// header is what a document says before its entries.
type header struct {
	ledger.Statement
	asset ledger.Asset
	zone  *time.Location
}

// format writes one kind of document.
type format interface {
	begin() error
	entry(e *ledger.AccountEntry, counterparty string) error
	end() error
}

// Export writes a statement. Nothing is sent before everything is checked that can
// be known beforehand. It fails with ledger.ErrAccountNotFound,
// ledger.ErrStatementBroken, INVALID_ARGUMENT or STATEMENT_FORMAT_UNSUPPORTED, and
// with what the source's functions fail with.
func Export(ctx context.Context, src Source, req Request) error {
	if req.GetEndTime() != nil {
		ctx = src.Past.Reading(ctx, req.GetEndTime().AsTime())
	}
	h, err := open(ctx, src, req)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(sender(src.Send), chunkSize)
	doc, err := h.document(out, req.GetFormat())
	if err != nil {
		return err
	}
	if err := doc.begin(); err != nil {
		return err
	}
	for page, err := range src.Ledger.StatementEntries(ctx, &h.Statement, pageSize) {
		if err != nil {
			return err
		}
		names, err := src.Counterparties(ctx, page)
		if err != nil {
			return err
		}
		for i := range page {
			if err := doc.entry(&page[i], names[i]); err != nil {
				return err
			}
		}
	}
	if err := doc.end(); err != nil {
		return err
	}
	return out.Flush()
}

// open checks a request and finds what it is about.
func open(ctx context.Context, src Source, req Request) (*header, error) {
	h := &header{}
	start, end, err := span(req)
	if err != nil {
		return nil, err
	}
	if h.zone, err = zone(req.GetTimeZone()); err != nil {
		return nil, err
	}
	h.Statement, err = src.Ledger.Statement(ctx, src.Account, start, end)
	if errors.Is(err, ledger.ErrStatementRange) {
		return nil, invalid("start_time", "must be before end_time and before now").WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	if h.End.Sub(h.Start) > maxRange {
		return nil, invalid("end_time", "must be at most 3,660 days after start_time")
	}
	h.asset, err = src.Ledger.AssetByID(ctx, h.Asset)
	return h, err
}

func span(req Request) (start, end time.Time, err error) {
	end = endOfTime
	if err := req.GetStartTime().CheckValid(); err != nil {
		return start, end, invalid("start_time", "must be a time between the years 1 and 9999").WithCause(err)
	}
	if req.GetEndTime() == nil {
		return req.GetStartTime().AsTime(), end, nil
	}
	if err := req.GetEndTime().CheckValid(); err != nil {
		return start, end, invalid("end_time", "must be a time between the years 1 and 9999").WithCause(err)
	}
	return req.GetStartTime().AsTime(), req.GetEndTime().AsTime(), nil
}

// zone finds a time zone. "Local" would be the server's own.
func zone(name string) (*time.Location, error) {
	found, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, invalid("time_zone", `must be an IANA time zone such as "Asia/Jakarta"`).WithCause(err)
	}
	return found, nil
}

func invalid(field, rule string) *rpc.Error {
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The statement's range or time zone is not valid.").
		WithField(field, rule)
}

func (h *header) document(out *bufio.Writer, f statementv1.StatementFormat) (format, error) {
	if f == statementv1.StatementFormat_STATEMENT_FORMAT_CAMT053 {
		return newCamt(h, out)
	}
	return newCSV(h, out), nil
}

// stamp writes a time in the statement's time zone.
func (h *header) stamp(t time.Time) string {
	return t.In(h.zone).Format("2006-01-02T15:04:05.000000Z07:00")
}

// sender sends pieces as they are written, each in memory of its own.
type sender func([]byte) error

func (s sender) Write(p []byte) (int, error) {
	if err := s(bytes.Clone(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
