package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"
)

// arrive reads a column as PostgreSQL's client library reads arrays.
func arrive[T any](t *rapid.T, oid uint32, c *column) (list []T) {
	sent, err := encodeColumnPlan{}.Encode(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pgtype.NewMap().Scan(oid, pgtype.BinaryFormatCode, sent, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestColumnsAreArrays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOf(rapid.Int64()).Draw(t, "numbers")
		texts := rapid.SliceOf(rapid.StringN(0, 4, -1)).Draw(t, "texts")
		moments := rapid.SliceOf(rapid.Int64Range(-1<<50, 1<<50)).Draw(t, "moments")
		n, s, m := newColumn(pgtype.Int8OID, 0, 0), newColumn(pgtype.TextOID, 0, 0), newColumn(pgtype.TimestamptzOID, 0, 0)
		for _, v := range numbers {
			n.int64(v)
		}
		for _, v := range texts {
			s.text(v)
		}
		for _, v := range moments {
			m.time(time.UnixMicro(v))
		}
		if got := arrive[int64](t, pgtype.Int8ArrayOID, n); !slices.Equal(got, numbers) {
			t.Errorf("%v arrived as %v", numbers, got)
		}
		for i, got := range arrive[time.Time](t, pgtype.TimestamptzArrayOID, m) {
			if got.UnixMicro() != moments[i] {
				t.Errorf("%d arrived as %v", moments[i], got)
			}
		}
		got := arrive[*string](t, pgtype.TextArrayOID, s)
		for i, want := range texts {
			switch {
			case want == "" && i < len(got) && got[i] != nil:
				t.Errorf("text %d, which is empty, arrived as %q", i, *got[i])
			case want != "" && (i >= len(got) || got[i] == nil || *got[i] != want):
				t.Errorf("text %d, %q, did not arrive", i, want)
			}
		}
	})
}

func TestAColumnOfNothingButNullsIsEmpty(t *testing.T) {
	c := newColumn(pgtype.UUIDOID, 0, 0)
	c.null()
	c.null()
	if sent, err := (encodeColumnPlan{}).Encode(c, nil); err != nil || len(sent) != 12 {
		t.Errorf("%d bytes, %v", len(sent), err)
	}
}

func TestARowOfAnotherFormIsNoticed(t *testing.T) {
	row := [][]byte{{0, 0, 0, 0, 0, 0, 0, 1}, nil, []byte("x")}
	f := fields{values: row}
	if f.int64() != 1 || f.id() != 0 || f.text() != "x" || f.err != nil {
		t.Errorf("read wrongly: %v", f.err)
	}
	for _, read := range []func(*fields){
		func(f *fields) { f.int16() },
		func(f *fields) { f.place() },
		func(f *fields) { f.int64(); f.id(); f.amount() },
		func(f *fields) { f.int64(); f.text(); f.text(); f.text() },
	} {
		f := fields{values: row}
		if read(&f); f.err == nil {
			t.Error("a wrong row was read")
		}
	}
}

func TestUsageIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u usage
		for range rapid.IntRange(1, 5).Draw(t, "counters") {
			u = append(u, counter{
				window: window{
					Direction: rapid.SampledFrom([]Direction{Outgoing, Incoming}).Draw(t, "direction"),
					Period:    rapid.SampledFrom([]Period{PerDay, PerMonth, PerLifetime}).Draw(t, "period"),
					Zone:      rapid.SampledFrom([]string{"UTC", "America/Argentina/Buenos_Aires"}).Draw(t, "zone"),
				},
				Since:  time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "since")).UTC(),
				Amount: NewAmount(rapid.Int64().Draw(t, "amount")),
				Number: rapid.Int64().Draw(t, "number"),
			})
		}
		if got, err := parseUsage(u.encode()); err != nil || !slices.Equal(got, u) {
			t.Errorf("%v was read as %v, %v", u, got, err)
		}
	})
	for _, text := range []string{`["outgoing day UTC 1 2"]`, `["outgoing day UTC 1 2 3 4"]`, `["outgoing day UTC x 2 3"]`, `["outgoing`} {
		if _, err := parseUsage([]byte(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}
