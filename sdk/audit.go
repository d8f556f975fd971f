package tillbook

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	auditv1 "github.com/tillbook/tillbook/gen/tillbook/audit/v1"
	"github.com/tillbook/tillbook/gen/tillbook/audit/v1/auditv1connect"
)

// Audit shows operators who did what. It needs WithOperatorKey.
type Audit struct {
	rpc auditv1connect.AuditServiceClient
}

// Records lists the records that pass the request's filters, newest first. A nil
// request lists them all.
func (a *Audit) Records(ctx context.Context, request *ListRecordsRequest) iter.Seq2[*AuditRecord, error] {
	return pages(ctx, request.GetPageToken(), func(ctx context.Context, token string) ([]*AuditRecord, string, error) {
		page := &auditv1.ListRecordsRequest{}
		if request != nil {
			page = proto.CloneOf(request)
		}
		page.PageToken = token
		response, err := a.rpc.ListRecords(ctx, page)
		return response.GetRecords(), response.GetNextPageToken(), err
	})
}
