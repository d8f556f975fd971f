package alerts

import (
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

// acceptMail ends when the listener is closed.
func (r *Receiver) acceptMail() {
	for {
		conn, err := r.smtp.Accept()
		if err != nil {
			return
		}
		if !r.hold(conn) {
			return
		}
		r.running.Go(func() { // ends within patience, or with Close
			defer r.release(conn)
			_ = conn.SetDeadline(time.Now().Add(patience))
			_ = r.talk(textproto.NewConn(conn))
		})
	}
}

func (r *Receiver) hold(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		_ = conn.Close()
		return false
	}
	r.conns[conn] = true
	return true
}

func (r *Receiver) release(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
	_ = conn.Close()
}

// talk takes mail from one client, as far as RFC 5321 must be known for that.
func (r *Receiver) talk(c *textproto.Conn) error {
	reply := "220 ready"
	for to := ""; ; {
		if err := c.PrintfLine("%s", reply); err != nil {
			return err
		}
		line, err := c.ReadLine()
		if err != nil {
			return err
		}
		verb, rest, _ := strings.Cut(line, " ")
		reply = "250 OK"
		switch strings.ToUpper(verb) {
		case "RCPT":
			to = strings.Trim(rest[strings.IndexByte(rest, ':')+1:], "<> ")
		case "DATA":
			if err := c.PrintfLine("354 go on"); err != nil {
				return err
			}
			n, err := read(io.LimitReader(c.DotReader(), maxNotice))
			if err != nil {
				reply = "554 not a mail of Alertmanager's"
				break
			}
			n.By, n.To = Mail, to
			r.keep(n)
		case "QUIT":
			return c.PrintfLine("221 bye")
		}
	}
}

// read takes a mail apart, of which it wants the subject and the first text.
func read(in io.Reader) (n Notice, err error) {
	m, err := mail.ReadMessage(in)
	if err != nil {
		return n, err
	}
	if n.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return n, err
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return n, err
	}
	part, err := multipart.NewReader(m.Body, params["boundary"]).NextRawPart()
	if err != nil {
		return n, err
	}
	text, err := io.ReadAll(quotedprintable.NewReader(part))
	n.Text = string(text)
	return n, err
}
