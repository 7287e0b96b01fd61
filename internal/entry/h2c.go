package entry

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

const (
	// h2cWindow is how much of one answer may be on its way that nobody has taken yet, in bytes: the function is held back by it. The answers of a
	// connection do not hold back each other.
	h2cWindow = 128 << 10
	// h2cIdle is how long a connection without requests is kept.
	h2cIdle = time.Minute
	// lastWords is how long a connection that cannot be written to is read for why; it has nothing more to wait for.
	lastWords = 100 * time.Millisecond
	// maxInterims is how many interim answers of a request may wait for its client; more are left out.
	maxInterims = 8
)

// h2cClient speaks HTTP/2 without TLS to one instance, from the first byte on: RFC 9113, section 3.3. net/http makes a connection, puts as many
// requests on it as the function allows, and another one where it allows no more. It sends a request again, elsewhere, that the function said it
// has not begun (GOAWAY, REFUSED_STREAM), as long as nothing of its body was sent.
type h2cClient struct {
	dial      func(context.Context) (net.Conn, error)
	transport *http.Transport

	mu     sync.Mutex
	closed bool
	wrong  error // what the last connection began with that was not HTTP/2's
	open   map[*settled]struct{}
}

func newH2C(dial func(context.Context) (net.Conn, error)) *h2cClient {
	h := &h2cClient{dial: dial, open: make(map[*settled]struct{})}
	h.transport = &http.Transport{
		DialContext:            h.connect,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: h2cWindow},
		DisableCompression:     true, // an answer is passed on as it is
		MaxResponseHeaderBytes: maxHTTPHeader,
		IdleConnTimeout:        h2cIdle,
	}
	h.transport.Protocols.SetUnencryptedHTTP2(true)
	return h
}

func (h *h2cClient) connect(ctx context.Context, _, _ string) (net.Conn, error) {
	nc, err := h.dial(ctx)
	if err != nil {
		return nil, errDial{err}
	}
	s := &settled{Conn: nc, known: make(chan struct{})}
	s.over = func() {
		h.mu.Lock()
		delete(h.open, s)
		h.mu.Unlock()
	}
	s.told = func(wrong error) {
		h.mu.Lock()
		h.wrong = wrong
		h.mu.Unlock()
	}
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.open[s] = struct{}{}
	}
	h.mu.Unlock()
	if closed {
		nc.Close()
		return nil, errDial{net.ErrClosed}
	}
	return s, nil
}

// close ends all connections: when it is called the function is gone, and nothing more comes of what is under way.
func (h *h2cClient) close() {
	h.mu.Lock()
	h.closed = true
	open := slices.Collect(maps.Keys(h.open))
	h.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
}

// begin implements httpSpeaker.
func (h *h2cClient) begin(req *http.Request, until time.Time, inform informing) (*answering, error) {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	hints := &interims{to: inform, left: maxHTTPHeader, waiting: make(chan interim, maxInterims), over: make(chan struct{})}
	var telling sync.WaitGroup
	if inform != nil {
		telling.Go(hints.tell)
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: hints.got})
	resp, err := h.transport.RoundTrip(req.WithContext(ctx))
	close(hints.over)
	telling.Wait()
	body := uploadOf(req)
	if err != nil {
		cancel()
		if _, before := errors.AsType[errDial](err); before {
			return nil, err
		}
		return nil, body.blame(h.saidInstead(h2cReason(err)))
	}
	// While the function takes no more of a request, net/http waits for it and for nothing else: the end of the time does not end that.
	context.AfterFunc(ctx, func() { resp.Body.Close() })
	turn := &h2cTurn{resp: resp, cancel: cancel, late: ctx.Err, body: body}
	if len(resp.Header) > maxHTTPFields {
		turn.end(false)
		return nil, notHTTP("its head has more than %d fields", maxHTTPFields)
	}
	return &answering{Response: resp, httpTurn: turn}, nil
}

// saidInstead is why a request failed: what the function said in the place of HTTP/2, where it did. net/http tells those alone of it that had
// begun by then.
func (h *h2cClient) saidInstead(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return cmp.Or(h.wrong, err)
}

// h2cTurn is the stream of one request.
type h2cTurn struct {
	resp   *http.Response
	cancel context.CancelFunc
	late   func() error // why it was cut off
	body   *uploading   // of the request; nil = it was whole
}

// end resets the stream where the answer was not read to its end, of which the function hears; its connection goes on.
func (t *h2cTurn) end(whole bool) {
	if t.body != nil {
		_ = t.body.Upload.Close() // says whether it was waited for, which blame asks again
	}
	if !whole {
		t.cancel() // ahead of Close, which waits for the stream's end
	}
	t.resp.Body.Close()
	t.cancel()
}

func (t *h2cTurn) cut() { t.cancel() }

func (t *h2cTurn) reason(err error) error {
	if late := t.late(); err != nil && errors.Is(late, context.DeadlineExceeded) {
		err = late
	}
	return t.body.blame(h2cReason(err))
}

// h2cStream has the fields of net/http's own error of a stream, which fills in a type of that form.
type h2cStream struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e h2cStream) Error() string { return fmt.Sprintf("stream %d: code %d", e.StreamID, e.Code) }

// errReset says that the function ended the stream of one request with RST_STREAM: its other requests go on.
type errReset struct{ code uint32 }

func (e errReset) Error() string {
	return fmt.Sprintf("the function broke the request off before it had answered: RST_STREAM with error code %d of HTTP/2", e.code)
}

// h2cReason tells a function that ended one stream, or broke the rules in it, from a connection that was lost.
func h2cReason(err error) error {
	stream, ok := errors.AsType[h2cStream](err)
	switch {
	case !ok:
		return err
	case stream.Cause != nil && stream.Cause.Error() == "received from peer": // what net/http says has no other mark
		return errReset{stream.Code}
	}
	return errNotHTTP{err}
}

// interims takes interim answers to a client. They come on the goroutine that reads for all requests of a connection, which may not wait for a
// client that is slow.
type interims struct {
	to      informing
	left    int // bytes that they may have
	waiting chan interim
	over    chan struct{}
}

type interim struct {
	status int
	fields http.Header
}

func (i *interims) got(status int, fields textproto.MIMEHeader) error {
	for name, values := range fields {
		for _, v := range values {
			i.left -= len(name) + len(v) + 32 // RFC 9113, section 6.5.2
		}
	}
	if i.left -= 64; i.left < 0 {
		return notHTTP("its interim answers are larger than %d bytes", maxHTTPHeader)
	}
	if status == http.StatusContinue || status == http.StatusSwitchingProtocols || i.to == nil { // HTTP/2 does not switch
		return nil
	}
	h := http.Header(fields)
	dropHopByHop(h)
	select {
	case i.waiting <- interim{status, h}:
	default:
	}
	return nil
}

// tell passes them on until the request is over, and what waits then.
func (i *interims) tell() {
	for {
		select {
		case one := <-i.waiting:
			i.to(one.status, one.fields)
			continue
		case <-i.over:
		}
		for {
			select {
			case one := <-i.waiting:
				i.to(one.status, one.fields)
			default:
				return
			}
		}
	}
}

// settled is a connection whose other side has to begin with SETTINGS: RFC 9113, section 3.4. A function that speaks another protocol is told from
// one that breaks off.
type settled struct {
	net.Conn
	over  func()
	told  func(wrong error) // nil = it began as it has to
	first []byte            // of what has come, at most one frame's header
	wrong error
	known chan struct{} // closed when it has come, or will not; then wrong says so
	once  sync.Once
}

func (s *settled) Close() error {
	s.over()
	return s.Conn.Close()
}

// frameHeader is the size of what every frame begins with: length (3 bytes), type, flags, stream (4 bytes). RFC 9113, section 4.1.
const frameHeader = 9

func (s *settled) Read(p []byte) (int, error) {
	if s.wrong != nil {
		return 0, s.wrong
	}
	n, err := s.Conn.Read(p)
	if len(s.first) < frameHeader {
		s.first = append(s.first, p[:min(n, frameHeader-len(s.first))]...)
		s.wrong = checkSettings(s.first)
		if s.wrong != nil || len(s.first) == frameHeader {
			s.told(s.wrong)
		}
		if s.wrong != nil || err != nil || len(s.first) == frameHeader {
			s.once.Do(func() { close(s.known) })
		}
		if s.wrong != nil {
			return 0, s.wrong
		}
	}
	return n, err
}

// Write fails with what the other side said in the place of SETTINGS, where it said it and went: whichever of reading and writing notices first.
func (s *settled) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if err == nil {
		return n, nil
	}
	late := time.NewTimer(lastWords)
	defer late.Stop()
	select {
	case <-s.known:
		if s.wrong != nil {
			err = s.wrong
		}
	case <-late.C:
	}
	return n, err
}

// checkSettings looks at the beginning of a frame's header, as much of it as has come.
func checkSettings(first []byte) error {
	const settings = 0x4
	if len(first) > 3 && first[3] != settings || len(first) == frameHeader && binary.BigEndian.Uint32(first[5:]) != 0 {
		return notHTTP("its connection begins with %q, not with HTTP/2's SETTINGS; a function that speaks HTTP/1.1 has no entry.protocol", first)
	}
	return nil
}

// protocol is the name of what a function was told to speak.
func (c *httpConn) protocol() string {
	if c.h2c() {
		return "HTTP/2"
	}
	return "HTTP/1.1"
}

func (c *httpConn) h2c() bool { return c.start.Version.Spec.Entry.Protocol == function.ProtocolH2C }
