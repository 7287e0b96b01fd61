package entry

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

const (
	// maxHTTPHeader bounds the heads of an answer, interim ones included, in bytes.
	maxHTTPHeader = 1 << 20
	// maxHTTPFields bounds the fields of one head.
	maxHTTPFields = 256
)

// errNotHTTP is an answer that breaks the rules of HTTP/1.1. What follows it on its connection cannot be trusted.
type errNotHTTP struct{ error }

func (e errNotHTTP) Unwrap() error { return e.error }

func notHTTP(format string, args ...any) error { return errNotHTTP{fmt.Errorf(format, args...)} }

// headReader is the function's side of a connection. It reads the heads of an answer along with net/http, which forgives what two readers
// may understand differently: then the line end that would complete the head is kept back, and Read gives the reason.
type headReader struct {
	r io.Reader

	heads  bool   // it is in the head of an answer, not in its body
	left   int    // bytes that the heads may still have
	line   []byte // what has come of the next one
	head   headLines
	wrong  error // what the answer breaks
	broken error // of r: the connection's end
}

// begin is called ahead of each answer.
func (h *headReader) begin() {
	h.heads, h.left, h.line, h.head = true, maxHTTPHeader, h.line[:0], headLines{}
}

func (h *headReader) Read(p []byte) (int, error) {
	if h.wrong != nil {
		return 0, h.wrong
	}
	n, err := h.r.Read(p)
	if err != nil {
		h.broken = err
	}
	if !h.heads {
		return n, err
	}
	if read := h.scan(p[:n]); h.wrong != nil {
		return read, h.wrong
	}
	return n, err
}

// scan returns how much of b may be handed on when something is wrong.
func (h *headReader) scan(b []byte) (read int) {
	for h.heads && read < len(b) {
		rest := b[read:]
		line, whole := rest, false
		if end := bytes.IndexByte(rest, '\n') + 1; end > 0 {
			line, whole = rest[:end], true
		}
		if h.left -= len(line); h.left < 0 {
			h.wrong = notHTTP("its head is larger than %d bytes", maxHTTPHeader)
			return read
		}
		h.line = append(h.line, line...)
		if whole {
			if h.heads, h.wrong = h.head.add(string(h.line)); h.wrong != nil {
				return read
			}
			h.line = h.line[:0]
		}
		read += len(line)
	}
	return read
}

// reason makes of an error that net/http gave what it means: the end of the connection, or an answer that is none.
func (h *headReader) reason(err error) error {
	switch {
	case err == nil:
		return nil
	case h.wrong != nil:
		return h.wrong
	case h.broken == nil:
		return errNotHTTP{err}
	}
	return err
}

// headLines is what has come of a head.
type headLines struct {
	begun, old, interim bool // old = HTTP/1.0
	fields              int
	length, coded       bool // it has Content-Length, Transfer-Encoding
}

// add takes the next line with its end, and says whether there are more to come.
func (l *headLines) add(line string) (more bool, err error) {
	text, ended := strings.CutSuffix(line, "\r\n")
	switch {
	case !ended:
		return false, notHTTP("a line of its head ends in a bare LF")
	case strings.Contains(text, "\r"):
		return false, notHTTP("a line of its head has a bare CR")
	case !l.begun:
		return true, l.status(text)
	case text != "":
		return true, l.field(text)
	case l.interim:
		*l = headLines{}
		return true, nil
	}
	return false, nil
}

// status reads the first line. RFC 9112, section 4.
func (l *headLines) status(text string) error {
	version, rest, _ := strings.Cut(text, " ")
	code, reason, _ := strings.Cut(rest, " ")
	digits := len(code) == 3 && code[0] >= '1' && code[0] <= '9' && strings.Trim(code, "0123456789") == ""
	if version != "HTTP/1.1" && version != "HTTP/1.0" || !digits || !validValue(reason) {
		return notHTTP("it begins with %q, not with HTTP/1.1 and a status", cut(text, 64))
	}
	l.begun, l.old, l.interim = true, version == "HTTP/1.0", code[0] == '1' && code != "101"
	return nil
}

// field reads one of the other lines. RFC 9112, sections 5 and 6; RFC 9110, section 5.5.
func (l *headLines) field(text string) error {
	if l.fields++; l.fields > maxHTTPFields {
		return notHTTP("its head has more than %d fields", maxHTTPFields)
	}
	name, value, colon := strings.Cut(text, ":")
	switch {
	case !colon || !validName(name):
		return notHTTP("its head has a line that is no field: %q", cut(text, 64))
	case !validValue(value):
		return notHTTP("its field %s has a control character", cut(name, 64))
	}
	switch strings.ToLower(name) {
	case "content-length":
		l.length = true
	case "transfer-encoding":
		l.coded = true
	}
	switch {
	case l.length && l.coded:
		return notHTTP("it has both Content-Length and Transfer-Encoding")
	case l.coded && l.old:
		return notHTTP("it has Transfer-Encoding in HTTP/1.0")
	}
	return nil
}

// validName says whether a field may have this name: RFC 9110, section 5.6.2.
func validName(name string) bool {
	const letters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return name != "" && strings.Trim(name, letters) == ""
}

// validValue says whether a field may have this value: RFC 9110, section 5.5.
func validValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// trailers are those that may come behind a body: what says how a message is to be read comes before it. RFC 9110, section 6.5.1.
func trailers(all http.Header) http.Header {
	var some http.Header
	for name, values := range all {
		switch function.Dashed(name) {
		case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Host", "Authorization", "Cookie", "Set-Cookie", "Cache-Control", "Expect", "Te":
			continue
		}
		invalid := func(value string) bool { return !validValue(value) }
		if len(values) == 0 || !validName(name) || slices.Contains(hopByHop[:], name) || slices.ContainsFunc(values, invalid) {
			continue
		}
		if some == nil {
			some = make(http.Header, len(all))
		}
		some[name] = values
	}
	return some
}

// passedTrailers are those of a client's request that the function gets: what the node says, no client says behind it, nor what a program may take
// for a field of the header.
func passedTrailers(all, header http.Header) http.Header {
	some := trailers(all)
	for name := range some {
		if header[name] != nil || header[function.Dashed(name)] != nil || function.OnlyNode(name) {
			delete(some, name)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some
}
