package ledger

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// timeOrInfinity scans a timestamptz whose '-infinity' means "never": it
// becomes the zero time.
type timeOrInfinity time.Time

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (t *timeOrInfinity) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = timeOrInfinity{}
	if v.Valid && v.InfinityModifier == pgtype.Finite {
		*t = timeOrInfinity(v.Time)
	}
	return nil
}
