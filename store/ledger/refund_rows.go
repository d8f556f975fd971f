package ledger

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	insertRefunds = `
INSERT INTO refunds (transaction_id, original_id, amount, outgoing_time, incoming_time, counted_number)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::timestamptz[], $5::timestamptz[], $6::smallint[])`

	insertResolutions = `
INSERT INTO resolutions (subject, transaction_id, outcome, create_time)
SELECT r.*, $4::timestamptz FROM unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS r (subject) ORDER BY r.subject`

	insertEvents = `
INSERT INTO events (type, subject, payload)
SELECT e.type, e.subject, e.payload::jsonb FROM unnest($1::text[], $2::text[], $3::text[]) AS e (type, subject, payload)`
)

func refundArgs(list []refundRow) []any {
	var refunds, originals []uuid.UUID
	var amounts pgtype.FlatArray[Amount]
	var outgoing, incoming []time.Time
	var numbers []int16
	for _, r := range list {
		refunds, originals = append(refunds, r.transaction), append(originals, r.original)
		amounts = append(amounts, r.amount)
		outgoing, incoming = append(outgoing, r.outgoing), append(incoming, r.incoming)
		numbers = append(numbers, r.number)
	}
	return []any{refunds, originals, amounts, outgoing, incoming, numbers}
}

func resolutionArgs(b *batch) []any {
	var subjects []uuid.UUID
	var transactions []*uuid.UUID
	var outcomes []int16
	for _, r := range b.resolutions {
		subjects = append(subjects, r.Subject)
		transactions = append(transactions, optionalID(r.Transaction))
		outcomes = append(outcomes, int16(r.Outcome))
	}
	return []any{subjects, transactions, outcomes, b.now}
}

func eventArgs(list []Event) []any {
	var types, subjects, payloads []string
	for i := range list {
		types, subjects = append(types, list[i].Type), append(subjects, list[i].Subject)
		payloads = append(payloads, string(list[i].Payload))
	}
	return []any{types, subjects, payloads}
}
