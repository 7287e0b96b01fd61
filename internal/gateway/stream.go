package gateway

import (
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// stream passes a function's answer on to the client while the function gives it. It is a function.Responder.
type stream struct {
	x     *exchange
	r     *http.Request
	id    string  // of the run
	body  *upload // of the request; nil = it was whole
	among *tunnels
	begun bool
	given bool // the connection is somebody else's
}

// Respond implements function.Responder.
func (s *stream) Respond(head function.Head) (io.Writer, error) {
	s.begun = true
	h := s.x.Header()
	h.Set(runHeader, s.id)
	s.x.passHeader(head.Header)
	delete(h, "Content-Length") // the gateway counts for itself
	if head.Length >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(head.Length, 10)}
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // the function did not say, and guessing makes web pages of uploads
	}
	for _, name := range head.Trailer {
		if s.passTrailer(name) {
			h.Add("Trailer", name)
		}
	}
	s.body.answered(h)
	s.x.WriteHeader(head.Status)
	return s, s.flush()
}

// Inform implements function.Informer. A client of HTTP/1.0 knows no interim answers.
func (s *stream) Inform(status int, fields http.Header) {
	// net/http says 100 Continue when the body is read for the first time, and would write two interim answers at once.
	if s.body != nil && s.r.Header["Expect"] != nil || !s.r.ProtoAtLeast(1, 1) {
		return
	}
	h := s.x.Header()
	final := maps.Clone(h)
	clear(h)
	copyEndToEnd(h, fields)
	delete(h, "Content-Length")
	delete(h, runHeader)
	w := s.x.ResponseWriter
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.x.slow)) // what cannot have deadlines is not slow
	w.WriteHeader(status)
	s.rest()
	clear(h)
	maps.Copy(h, final)
}

// Upgrade implements function.Upgrader.
func (s *stream) Upgrade(fields http.Header) (net.Conn, error) {
	nc, buf, err := http.NewResponseController(s.x).Hijack()
	if err != nil {
		return nil, err
	}
	s.begun, s.given, s.x.status = true, true, http.StatusSwitchingProtocols
	c := &taken{Conn: nc, first: buf.Reader, among: s.among}
	c.touch(1)
	if !s.among.add(c) {
		nc.Close()
		return nil, net.ErrClosed
	}
	h := http.Header{}
	passHeader(h, fields)
	for _, name := range []string{requestIDHeader, limitHeader, limitPolicyHeader} { // what the node says of the request
		if own := s.x.Header()[name]; own != nil {
			h[name] = own
		}
	}
	h[runHeader] = []string{s.id}
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, fields["Upgrade"]
	delete(h, "Content-Length")
	_ = nc.SetDeadline(time.Now().Add(s.x.slow)) // of a connection that is closed nothing is written either
	_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(buf)
	_, _ = buf.WriteString("\r\n")
	if err := buf.Flush(); err != nil { // it keeps the first error
		c.Close()
		return nil, err
	}
	return c, nil
}

// upgrade are the protocols that a client wants to go on with; "" = none. RFC 9110, section 7.8. HTTP itself and TLS are between the client and
// this node, which stays with what it has: a client offers them to any server, and means a plain request.
func upgrade(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.ContentLength != 0 {
		return ""
	}
	for _, field := range r.Header["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			if strings.EqualFold(strings.TrimSpace(name), "upgrade") {
				return strings.Join(slices.DeleteFunc(protocols(r.Header["Upgrade"]), ofTheHop), ", ")
			}
		}
	}
	return ""
}

// protocols are the protocols of an Upgrade field, in the client's order.
func protocols(fields []string) []string {
	return strings.FieldsFunc(strings.Join(fields, ","), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

func ofTheHop(protocol string) bool {
	name, _, _ := strings.Cut(strings.ToLower(protocol), "/")
	return name == "h2c" || name == "http" || name == "tls"
}

// Gone implements function.Responder.
func (s *stream) Gone() <-chan struct{} { return s.r.Context().Done() }

// Write passes on what has come. Each piece has the time of a whole answer: a client may be slow, but not stand still.
func (s *stream) Write(p []byte) (int, error) {
	_ = http.NewResponseController(s.x).SetWriteDeadline(time.Now().Add(s.x.slow)) // what cannot have deadlines is not slow
	n, err := s.x.Write(p)
	if err != nil {
		return n, err
	}
	return n, s.flush()
}

func (s *stream) flush() error {
	err := http.NewResponseController(s.x).Flush()
	s.rest()
	return err
}

// rest is called when the client has all that there is: until there is more it cannot be slow. A stream of HTTP/2 ends at its deadline although
// nobody writes.
func (s *stream) rest() {
	if s.r.ProtoMajor > 1 {
		_ = http.NewResponseController(s.x).SetWriteDeadline(time.Time{}) // there was none
	}
}

// end closes an answer that was begun. One that did not come to its end is cut off, so that the client does not take it for whole.
func (s *stream) end(res *function.Result, err error) {
	if s.given {
		return
	}
	if err != nil || res.Abandoned || res.Outcome != function.Succeeded {
		panic(http.ErrAbortHandler)
	}
	_ = http.NewResponseController(s.x).SetWriteDeadline(time.Now().Add(s.x.slow)) // of what a coding or net/http still has to send
	for name, values := range res.Trailer {
		if s.passTrailer(name) {
			s.x.Header()[http.TrailerPrefix+name] = values
		}
	}
}

// passTrailer says whether the client gets a field that comes after the body. One that the header has is none: to announce it would take it out of
// there, and it may be what only dalamb says.
func (s *stream) passTrailer(name string) bool {
	return !hopByHop(name) && name != runHeader && s.x.Header()[name] == nil && !(s.x.cors && allowsOrigins(name))
}

// How a streamed answer ended.
const (
	streamWhole    = "whole"
	streamClient   = "client"   // the client went away, or took nothing more
	streamFunction = "function" // the function broke it off, or its time was up
	streamNode     = "node"     // the node did
)

func streamEnd(res *function.Result, err error) string {
	switch {
	case err != nil:
		return streamNode
	case res.Abandoned:
		return streamClient
	case res.Outcome != function.Succeeded:
		return streamFunction
	}
	return streamWhole
}

// kept is a Responder that keeps the beginning of what goes through it, for the record.
type kept struct {
	function.Responder
	to    io.Writer // nil until the answer has begun
	body  []byte
	begun bool
}

func (k *kept) Respond(head function.Head) (w io.Writer, err error) {
	k.begun = true
	k.to, err = k.Responder.Respond(head)
	return k, err
}

func (k *kept) Inform(status int, fields http.Header) {
	if to, can := k.Responder.(function.Informer); can {
		to.Inform(status, fields)
	}
}

func (k *kept) Upgrade(h http.Header) (net.Conn, error) {
	up, can := k.Responder.(function.Upgrader)
	if !can {
		return nil, http.ErrNotSupported
	}
	nc, err := up.Upgrade(h)
	k.begun = k.begun || err == nil
	return nc, err
}

func (k *kept) Write(p []byte) (int, error) {
	if room := keptBody - len(k.body); room > 0 {
		k.body = append(k.body, p[:min(room, len(p))]...)
	}
	return k.to.Write(p)
}
