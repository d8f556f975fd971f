package merchant

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"time"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/statement"
	"github.com/tillbook/tillbook/store/id"
)

// exportRule bounds how fast a user exports days: ten at once, then one in ten seconds.
var exportRule = rate.Rule{Name: "merchant.export", Per: 10 * time.Second, Burst: 10}

// chunkSize is how large the pieces of a document are, in bytes.
const chunkSize = 32 << 10

// columns are the fields of each record of a day's document.
var columns = []string{
	"time", "type", "checkout_id", "transaction_id", "store_id", "terminal_id", "user_id", "reference",
	"gross", "tip", "refund", "fee", "net", "asset",
}

// exportDay writes a day's sales and refunds: the sales in the order in which they were
// made, and then the refunds.
func (s *Service) exportDay(ctx context.Context, m member, req *merchantv1.ExportDayReportRequest, stream merchantv1connect.MerchantServiceExportDayReportServerStream) error {
	of, zone, err := s.day(ctx, m, req)
	if err != nil {
		return err
	}
	if err := s.limiter.Allow(ctx, exportRule, m.user.String()); err != nil {
		return err
	}
	out := bufio.NewWriterSize(sender(func(chunk []byte) error {
		return stream.Send(&merchantv1.ExportDayReportResponse{Data: chunk})
	}), chunkSize)
	doc := csv.NewWriter(out)
	doc.UseCRLF = true // as RFC 4180 says
	if err := doc.Write(columns); err != nil {
		return err
	}
	if err := s.each(ctx, of, func(h *happening) error { return doc.Write(h.record(zone)) }); err != nil {
		return err
	}
	doc.Flush()
	if err := doc.Error(); err != nil {
		return err
	}
	return out.Flush()
}

// record is what happened as a record of the document. The reference is a text that
// somebody wrote; nothing else of it can be a formula.
func (h *happening) record(zone *time.Location) []string {
	kind := "sale"
	if h.refund {
		kind = "refund"
	}
	e := h.asset.Exponent
	return []string{
		h.time.In(zone).Format("2006-01-02T15:04:05.000000Z07:00"), kind,
		id.Format(id.Checkout, h.checkout), id.Format(id.Transaction, h.transaction),
		id.Format(id.Store, h.store), formatAny(id.Terminal, h.terminal), formatAny(id.User, h.user), statement.Inert(h.reference),
		h.gross.Decimal(e), h.tip.Decimal(e), h.refunded.Decimal(e), h.fee.Decimal(e), h.net.Decimal(e), h.asset.Code,
	}
}

// sender sends pieces as they are written, each in memory of its own.
type sender func([]byte) error

func (s sender) Write(p []byte) (int, error) {
	if err := s(bytes.Clone(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
