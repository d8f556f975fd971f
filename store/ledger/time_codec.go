package ledger

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// timeOrInfinity is a timestamptz whose '-infinity' means "never", for which the
// zero time stands.
type timeOrInfinity time.Time

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (t *timeOrInfinity) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = timeOrInfinity{}
	if v.Valid && v.InfinityModifier == pgtype.Finite {
		*t = timeOrInfinity(v.Time)
	}
	return nil
}

// TimestamptzValue implements pgtype.TimestamptzValuer.
func (t timeOrInfinity) TimestamptzValue() (pgtype.Timestamptz, error) {
	if time.Time(t).IsZero() {
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, nil
	}
	return pgtype.Timestamptz{Time: time.Time(t), Valid: true}, nil
}
