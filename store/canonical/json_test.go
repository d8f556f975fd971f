package canonical_test

import (
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/canonical"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestOneValueHasOneForm(t *testing.T) {
	for doc, want := range map[string]string{
		` { "b" : 1.50, "a" : [ 1e2, -0.0, 100e-2 ] } `: `{"a":[100,0,1],"b":3/2}`,
		`"<\u00e9\/>"`:               `"<é/>"`,
		`{"a":null,"":true,"Z":"x"}`: `{"":true,"Z":"x","a":null}`,
		`-2.50`:                      `-5/2`,
	} {
		got, err := canonical.JSON(nil, []byte(doc))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", doc, got, err, want)
		}
	}
	for _, doc := range []string{`1e1001`, `1e-99999999999999999999`} {
		if _, err := canonical.JSON(nil, []byte(doc)); !errors.Is(err, canonical.ErrNumber) {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// What is hashed before it is stored comes out the same when it is read again.
func TestPostgreSQLGivesBackTheSameValue(t *testing.T) {
	s := storetest.New(t)
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?`)
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\"\\</\u00e9\u2028\u0001\U0001f600 ")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		fields := map[string]any{}
		for range rapid.IntRange(0, 5).Draw(t, "fields") {
			key := text.Draw(t, "key")
			if rapid.Bool().Draw(t, "a number") {
				fields[key] = json.RawMessage(number.Draw(t, "number"))
			} else {
				fields[key] = []any{text.Draw(t, "text"), nil, true}
			}
		}
		doc, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		var stored string
		if err := s.Pool.QueryRow(t.Context(), `SELECT $1::text::jsonb::text`, string(doc)).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		before, err := canonical.JSON(nil, doc)
		if err != nil {
			t.Fatal(err)
		}
		after, err := canonical.JSON(nil, []byte(stored))
		if err != nil {
			t.Fatal(err)
		}
		if string(before) != string(after) {
			t.Fatal("another form after it was stored")
		}
	})
}
