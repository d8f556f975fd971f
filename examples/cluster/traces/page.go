package traces

import (
	"cmp"
	_ "embed" // the page
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"time"

	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// row is a span on the page of its trace, in percent of the trace's time.
type row struct {
	Span
	Depth       int
	Left, Width float64
	Took        time.Duration
	Keys        []string
}

// summary is a trace in the list.
type summary struct {
	ID, Name string
	Start    time.Time
	Took     time.Duration
	Spans    int
	Failed   bool
}

// text is an attribute's value as people read it.
func text(v *commonv1.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonv1.AnyValue_StringValue:
		return v.StringValue
	case *commonv1.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *commonv1.AnyValue_BoolValue:
		return fmt.Sprint(v.BoolValue)
	case *commonv1.AnyValue_DoubleValue:
		return fmt.Sprint(v.DoubleValue)
	case *commonv1.AnyValue_ArrayValue:
		var all []string
		for _, each := range v.ArrayValue.GetValues() {
			all = append(all, text(each))
		}
		return fmt.Sprint(all)
	default:
		return ""
	}
}

// span is from when to when the trace lasted.
func (t Trace) span() (start, end time.Time) {
	for i, s := range t.Spans {
		if i == 0 || s.Start.Before(start) {
			start = s.Start
		}
		if s.End.After(end) {
			end = s.End
		}
	}
	return start, end
}

// rows puts spans under their parents. A span whose parent has not arrived is a root.
func (t Trace) rows() []row {
	start, end := t.span()
	total := max(end.Sub(start), 1)
	known := make(map[string]bool, len(t.Spans))
	for _, s := range t.Spans {
		known[s.ID] = true
	}
	below := make(map[string][]Span)
	for _, s := range t.Spans {
		parent := s.Parent
		if !known[parent] || parent == s.ID {
			parent = ""
		}
		below[parent] = append(below[parent], s)
	}
	var out []row
	var add func(parent string, depth int)
	add = func(parent string, depth int) {
		spans := below[parent]
		delete(below, parent) // a circle ends here
		slices.SortFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
		for _, s := range spans {
			out = append(out, row{
				Span: s, Depth: depth, Took: s.End.Sub(s.Start), Keys: slices.Sorted(maps.Keys(s.Attributes)),
				Left:  100 * float64(s.Start.Sub(start)) / float64(total),
				Width: max(0.2, 100*float64(s.End.Sub(s.Start))/float64(total)),
			})
			add(s.ID, depth+1)
		}
	}
	add("", 0)
	return out
}

func (r *Receiver) showList(w http.ResponseWriter, _ *http.Request) {
	var list []summary
	for _, t := range r.Traces() {
		start, end := t.span()
		first := slices.MinFunc(t.Spans, func(a, b Span) int {
			return cmp.Or(len(a.Parent)-len(b.Parent), a.Start.Compare(b.Start))
		})
		list = append(list, summary{
			ID: t.ID, Name: first.Name, Start: start, Took: end.Sub(start), Spans: len(t.Spans),
			Failed: slices.ContainsFunc(t.Spans, func(s Span) bool { return s.Failed }),
		})
		if len(list) == 200 {
			break
		}
	}
	_ = page.Execute(w, map[string]any{"List": list})
}

func (r *Receiver) showTrace(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	kept := r.traces[req.PathValue("id")]
	var t Trace
	if kept != nil {
		t = Trace{ID: kept.ID, Spans: slices.Clone(kept.Spans)}
	}
	r.mu.Unlock()
	if kept == nil {
		http.NotFound(w, req)
		return
	}
	_ = page.Execute(w, map[string]any{"Trace": t, "Rows": t.rows()})
}
