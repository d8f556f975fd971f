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
SELECT r.*, $4::timestamptz FROM unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS r`
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
		subjects = append(subjects, r.subject)
		transactions = append(transactions, optionalID(r.transaction))
		outcomes = append(outcomes, int16(r.outcome))
	}
	return []any{subjects, transactions, outcomes, b.now}
}
