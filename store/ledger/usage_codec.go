package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An account's counters are stored as a JSON array of strings, one a counter:
// direction, period, zone, the microsecond of Unix since which it counts, amount
// and number, with a space between them. That is small, which is what counts in a
// row that every payment writes anew.

func (u usage) encode() []byte {
	text := append(make([]byte, 0, 2+64*len(u)), '[')
	for i := range u {
		c := &u[i]
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, '"')
		for _, name := range [...]string{string(c.Direction), string(c.Period), c.Zone} {
			text = append(append(text, name...), ' ')
		}
		text = append(strconv.AppendInt(text, c.Since.UnixMicro(), 10), ' ')
		text = append(append(text, c.Amount.String()...), ' ')
		text = append(strconv.AppendInt(text, c.Number, 10), '"')
	}
	return append(text, ']')
}

var errUsage = errors.New("an account's usage is malformed")

// parseUsage reads what encode wrote, as PostgreSQL spells it.
func parseUsage(text []byte) (usage, error) {
	if len(text) == 0 {
		return nil, nil
	}
	u := make(usage, 0, 4)
	for {
		_, rest, ok := bytes.Cut(text, []byte{'"'})
		if !ok {
			return u, nil
		}
		quoted, rest, ok := bytes.Cut(rest, []byte{'"'})
		if !ok {
			return nil, errUsage
		}
		c, err := parseCounter(string(quoted))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		u, text = append(u, c), rest
	}
}

func parseCounter(text string) (c counter, err error) {
	var fields [6]string
	for i := range fields {
		var more bool
		if fields[i], text, more = strings.Cut(text, " "); more != (i < len(fields)-1) {
			return c, errors.New("a counter has six fields")
		}
	}
	c.window = window{Direction(fields[0]), Period(fields[1]), fields[2]}
	since, err := strconv.ParseInt(fields[3], 10, 64)
	if err != nil {
		return c, err
	}
	c.Since = time.UnixMicro(since).UTC()
	if c.Amount, err = ParseDecimal(fields[4], 0); err != nil {
		return c, err
	}
	c.Number, err = strconv.ParseInt(fields[5], 10, 64)
	return c, err
}
