package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/tillbook/tillbook/gen/tillbook/audit/v1"
	"github.com/tillbook/tillbook/gen/tillbook/audit/v1/auditv1connect"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// Service implements AuditService.
type Service struct {
	store *store.Store
	past  *store.Past
}

var _ auditv1connect.AuditServiceHandler = (*Service)(nil)

// New returns the service on a database; past, where older records are read, may be
// nil. It starts nothing and needs no closing.
func New(s *store.Store, past *store.Past) *Service { return &Service{store: s, past: past} }

// ListRecords lists records, newest first.
func (s *Service) ListRecords(ctx context.Context, req *auditv1.ListRecordsRequest) (*auditv1.ListRecordsResponse, error) {
	kind := rpc.PageKind(auditv1connect.AuditServiceListRecordsProcedure, req.GetActorId(), req.GetSubject(),
		req.GetActionPrefix(), bound(req.GetStartTime()), bound(req.GetEndTime()))
	size := rpc.PageSize(req.GetPageSize())
	q := store.ListAuditRecordsParams{
		BeforeID: uuid.Max, Subject: req.GetSubject(), ActionPrefix: req.GetActionPrefix(), MaxRows: int32(size) + 1,
	}
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &q.BeforeID); err != nil {
			return nil, err
		}
		ctx = s.past.Reading(ctx, id.Time(q.BeforeID))
	}
	if err := filter(req, &q); err != nil {
		return nil, err
	}
	rows, err := s.store.Queries().ListAuditRecords(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("reading audit records: %w", err)
	}
	res := &auditv1.ListRecordsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		res.NextPageToken = rpc.EncodePageToken(kind, rows[size-1].ID)
	}
	for i := range rows {
		shown, err := message(&rows[i])
		if err != nil {
			return nil, err
		}
		res.Records = append(res.GetRecords(), shown)
	}
	return res, nil
}

// bound writes a time for a page token, or that there is none.
func bound(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return fmt.Sprint(t.GetSeconds(), ".", t.GetNanos())
}

func filter(req *auditv1.ListRecordsRequest, q *store.ListAuditRecordsParams) error {
	if text := req.GetActorId(); text != "" {
		actor, err := id.Parse(id.Prefix(text[:3]), text)
		if err != nil {
			return invalid("actor_id", "must be the id of an operator or a user")
		}
		q.ActorID = &actor
	}
	for _, limit := range []struct {
		path string
		t    *timestamppb.Timestamp
		to   **time.Time
	}{{"start_time", req.GetStartTime(), &q.StartTime}, {"end_time", req.GetEndTime(), &q.EndTime}} {
		if limit.t == nil {
			continue
		}
		if limit.t.CheckValid() != nil {
			return invalid(limit.path, "must be a time between the years 1 and 9999")
		}
		at := limit.t.AsTime()
		*limit.to = &at
	}
	return nil
}

func invalid(path, rule string) error {
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "A filter is not valid.").WithField(path, rule)
}

func message(row *store.AuditRecord) (*auditv1.Record, error) {
	shown := &auditv1.Record{
		RecordId: id.Format(id.Audit, row.ID), CreateTime: timestamppb.New(row.CreateTime),
		ActorKind: row.ActorKind, Action: row.Action, Subject: row.Subject, ClientIp: row.ClientIp, RequestId: row.RequestID,
	}
	if row.ActorID != nil {
		prefix := id.User
		if row.ActorKind == string(audit.Operator) {
			prefix = id.Operator
		}
		shown.ActorId = id.Format(prefix, *row.ActorID)
	}
	if len(row.Details) > 0 {
		shown.Details = &structpb.Struct{}
		if err := protojson.Unmarshal(row.Details, shown.Details); err != nil {
			return nil, fmt.Errorf("reading the details of an audit record: %w", err)
		}
	}
	return shown, nil
}
