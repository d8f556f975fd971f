package alerts

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"testing"
)

// Whatever comes as a mail or a call of the webhook is kept or refused, and can be shown.
func FuzzNotices(f *testing.F) {
	mail := "Subject: =?utf-8?q?x?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db\r\n--b--\r\n"
	f.Add([]byte(`{"status":"firing","commonLabels":{"alertname":"A"},"commonAnnotations":{"summary":"<b>"}}`), []byte("HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"+mail+".\r\nQUIT\r\n"))
	f.Add([]byte(`{"commonLabels":[]}`), []byte("RCPT\r\nDATA\r\n.\r\n"))
	f.Add([]byte(`null`), []byte("DATA\r\nSubject: =?x?b?=\r\nContent-Type: ;;\r\n\r\n.\r\n"))
	f.Add([]byte(`[`), []byte("\r\n \r\n"))
	f.Fuzz(func(t *testing.T, call, talk []byte) {
		r := &Receiver{conns: make(map[net.Conn]bool)}
		w := httptest.NewRecorder()
		r.receive(w, httptest.NewRequest(http.MethodPost, "/webhook", bytes.NewReader(call)))
		if kept := len(r.Notices()); (w.Code == http.StatusOK) != (kept == 1) {
			t.Fatalf("%q is answered with %d, and %d are kept", call, w.Code, kept)
		}
		_ = r.talk(textproto.NewConn(client{bytes.NewReader(talk)})) // ends with what the client says
		page := httptest.NewRecorder()
		r.show(page, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if page.Code != http.StatusOK {
			t.Fatalf("the page is answered with %d", page.Code)
		}
	})
}

// client says something and hears nothing.
type client struct{ io.Reader }

func (client) Write(p []byte) (int, error) { return len(p), nil }
func (client) Close() error                { return nil }
