package alerts

import (
	_ "embed" // the page
	"html/template"
	"net/http"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

func (r *Receiver) show(w http.ResponseWriter, _ *http.Request) {
	_ = page.Execute(w, r.Notices())
}
