package canonical_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/tillbook/tillbook/store/canonical"
)

// Whatever JSON there is has one form, however it is spelt, and that is not long.
func FuzzJSON(f *testing.F) {
	for _, doc := range []string{`{}`, `{"a":1,"a":2}`, `[1e999,-0,0.10]`, `1e1001`, `"\ud800"`, `"\u2028</script>"`, `{"b":[null,true],"a":{"":""}}`, `1 2`, `[`, "\"\xff\"", `-1.50e-3`} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		form, err := canonical.JSON([]byte("before"), doc)
		if err != nil {
			return
		}
		if !bytes.HasPrefix(form, []byte("before")) || len(form) > 2100*(len(doc)+1) {
			t.Fatalf("%q has the form %q", doc, form)
		}
		if !json.Valid(doc) {
			return // what is behind the value isn't looked at
		}
		var spelt bytes.Buffer
		if err := json.Indent(&spelt, doc, " ", "\t"); err != nil {
			t.Fatal(err)
		}
		again, err := canonical.JSON([]byte("before"), spelt.Bytes())
		if err != nil || !bytes.Equal(again, form) {
			t.Fatalf("%q has the forms %q and %q, %v", doc, form, again, err)
		}
	})
}
