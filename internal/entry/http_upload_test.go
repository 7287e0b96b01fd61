package entry

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// playUpload is the function's side of bodies that come; it says whether the behaviour is one.
func playUpload(verb string, w http.ResponseWriter, r *http.Request, flush func(string)) bool {
	switch verb {
	case "duplex": // gives back what comes, as it comes
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			panic(err)
		}
		flush("go:")
		buf := make([]byte, 1<<10)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				flush(string(buf[:n]))
			}
			if err == io.EOF {
				flush("|" + r.Trailer.Get("X-Sum"))
				return true
			}
			if err != nil {
				println("cut off")
				return true
			}
		}
	case "early": // answers without having read it
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			panic(err)
		}
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "no")
	case "unread":
		flush("")
		time.Sleep(time.Hour)
	case "swallow":
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			println("cut off")
		}
	default:
		return false
	}
	return true
}

// sender is a body that comes as the test says. It is a function.Upload.
type sender struct {
	*io.PipeReader
	give *io.PipeWriter

	mu             sync.Mutex
	reading, ended bool
	waited, err    error
}

func newSender() *sender {
	c := &sender{}
	c.PipeReader, c.give = io.Pipe()
	return c
}

func (c *sender) Open() {}

func (c *sender) Read(p []byte) (int, error) {
	c.mu.Lock()
	c.reading = true
	c.mu.Unlock()
	n, err := c.PipeReader.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	if err != nil && err != io.EOF && !c.ended {
		c.err = err
	}
	return n, err
}

func (c *sender) Close() error {
	c.mu.Lock()
	if c.reading && !c.ended {
		c.waited = fault.New(fault.Timeout, "the client was slow")
	}
	c.ended = true
	waited := c.waited
	c.mu.Unlock()
	c.PipeReader.Close()
	return waited
}

func (c *sender) Gather() ([]byte, error) { return io.ReadAll(c.PipeReader) }

func (c *sender) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// send opens a request with a body that comes, of a length that is not known.
func send(t *testing.T, c Conn) (*streaming, *sender) {
	up := newSender()
	t.Cleanup(func() { up.give.Close() })
	r := httptest.NewRequest("POST", "/", http.NoBody)
	r.Body, r.ContentLength, r.Trailer = up, -1, http.Header{"X-Sum": nil, "Content-Length": nil, "Dalamb-Run": nil}
	s := &streaming{taker: newTaker(), t: t, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.res, s.err = c.Invoke(t.Context(), &function.Invocation{ID: "id", Request: r, Responder: s.taker})
	}()
	return s, up
}

func (c *sender) says(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c.give, text); err != nil {
		t.Fatalf("the body is not taken: %v", err)
	}
}

// forProtocols runs a test with a function of each protocol.
func forProtocols(t *testing.T, test func(t *testing.T, s *stage, protocol func(*function.Spec))) {
	t.Run("HTTP/1.1", func(t *testing.T) { test(t, newStage(t), two) })
	t.Run("HTTP/2", func(t *testing.T) { test(t, newStage(t), inHTTP2) })
}

func TestABodyReachesTheFunctionWhileItComes(t *testing.T) {
	forProtocols(t, func(t *testing.T, s *stage, protocol func(*function.Spec)) {
		c := s.start(version("http:duplex", protocol))
		for range 2 { // the second one finds what the first one left
			st, up := send(t, c)
			st.part("go:")
			for _, text := range []string{"one", "two"} {
				up.says(t, text)
				st.part(text)
			}
			up.give.Close()
			st.part("|")
			if r, err := st.end(); err != nil || r.Outcome != function.Succeeded || r.Streamed != 10 || r.Abandoned {
				t.Errorf("Invoke = %+v, %v", r, err)
			}
			if up.Err() != nil {
				t.Error(up.Err())
			}
		}
	})
}

func TestTrailersOfABodyThatComes(t *testing.T) {
	forProtocols(t, func(t *testing.T, s *stage, protocol func(*function.Spec)) {
		c := s.start(version("http:duplex", protocol))
		up := newSender()
		r := httptest.NewRequest("POST", "/", http.NoBody)
		r.Trailer = http.Header{"X-Sum": nil}
		r.Body, r.ContentLength = trailing{up, r}, 3
		k := newTaker()
		st := &streaming{taker: k, t: t, done: make(chan struct{})}
		go func() {
			defer close(st.done)
			st.res, st.err = c.Invoke(t.Context(), &function.Invocation{ID: "id", Request: r, Responder: k})
		}()
		up.says(t, "abc")
		up.give.Close()
		if text := st.rest(); text != "go:abc|42" {
			t.Errorf("answer = %q, %+v, %v", text, st.res, st.err)
		}
	})
}

// trailing is a body whose trailers are known at its end.
type trailing struct {
	*sender
	r *http.Request
}

func (b trailing) Read(p []byte) (int, error) {
	n, err := b.sender.Read(p)
	if err == io.EOF {
		b.r.Trailer["X-Sum"] = []string{"42"}
	}
	return n, err
}

func TestAClientThatBreaksOffItsBody(t *testing.T) {
	gone := fault.New(fault.Invalid, "the client is gone")
	forProtocols(t, func(t *testing.T, s *stage, protocol func(*function.Spec)) {
		for _, c := range []struct{ behaves, begun string }{{"http:duplex", "go:"}, {"http:swallow", ""}} {
			conn := s.start(version(c.behaves, protocol))
			st, up := send(t, conn)
			if c.begun != "" {
				st.part(c.begun)
			}
			up.says(t, "half")
			if c.begun != "" {
				st.part("half")
			}
			up.give.CloseWithError(gone)
			r, err := st.end()
			if err != nil || !r.Abandoned || r.Retryable() {
				t.Fatalf("Invoke = %+v, %v", r, err)
			}
			wantFailure(t, r, function.Failed, "Request.Incomplete", "the client is gone")
			s.line("cut off")
			again, other := send(t, conn) // the function goes on
			other.give.Close()
			if again.rest(); again.err != nil || again.res.Outcome != function.Succeeded {
				t.Errorf("Invoke = %+v, %v", again.res, again.err)
			}
		}
	})
}

func TestAFunctionAnswersBeforeTheBodyHasCome(t *testing.T) {
	forProtocols(t, func(t *testing.T, s *stage, protocol func(*function.Spec)) {
		c := s.start(version("http:early", protocol))
		for range 3 {
			st, up := send(t, c)
			r, err := st.end()
			if err != nil || r.Status != 403 || string(r.Body) != "no" {
				t.Fatalf("Invoke = %+v, %v", r, err)
			}
			if _, err := up.give.Write(bytes.Repeat([]byte("x"), 1<<20)); err == nil {
				t.Error("a body is read that nobody wants")
			}
		}
	})
}

// Whose fault it is that the time is up depends on who waits for whom.
func TestTheTimeIsUpWhileABodyComes(t *testing.T) {
	short := func(spec *function.Spec) { spec.Timeout = function.Duration(time.Second) }
	forProtocols(t, func(t *testing.T, s *stage, protocol func(*function.Spec)) {
		st, up := send(t, s.start(version("http:swallow", protocol, short)))
		up.says(t, "and then nothing")
		r, err := st.end()
		if err != nil {
			t.Fatal(err)
		}
		wantFailure(t, r, function.Failed, "Request.Incomplete", "the client was slow")
		if r.Status != http.StatusRequestTimeout {
			t.Errorf("status = %d, want 408: it stands in the record", r.Status)
		}

		st, up = send(t, s.start(version("http:unread", protocol, short)))
		var sent int
		flood := make(chan struct{})
		go func() {
			defer close(flood)
			for {
				n, err := up.give.Write(bytes.Repeat([]byte("x"), 64<<10))
				if sent += n; err != nil {
					return
				}
			}
		}()
		_ = st.rest()
		r, err = st.end()
		up.Close()
		<-flood
		if err != nil || r.Outcome != function.TimedOut {
			t.Errorf("Invoke = %+v, %v, want that the function is at fault", r, err)
		}
		if sent > 16<<20 {
			t.Errorf("%d bytes were taken of a body that the function does not read", sent)
		}
	})
}

func TestABodyThatCannotBeDeliveredStaysWhole(t *testing.T) {
	forProtocols(t, func(t *testing.T, s *stage, protocol func(*function.Spec)) {
		c := s.start(version("http:swallow", protocol))
		c.Stop(0)
		st, up := send(t, c)
		if _, err := st.end(); err == nil {
			t.Fatal("an instance that is gone took a request")
		}
		go func() { up.says(t, "whole"); up.give.Close() }()
		if b, err := io.ReadAll(up); string(b) != "whole" || err != nil {
			t.Errorf("body = %q, %v, want all of it", b, err)
		}
	})
}

func TestWhoTakesABodyWhileItComes(t *testing.T) {
	for typ, comes := range map[function.EntryType]bool{function.EntryHTTP: true, function.EntryLambda: false, function.EntryStdio: false} {
		up := newSender()
		go func() { up.says(t, "whole"); up.give.Close() }()
		r := httptest.NewRequest("POST", "/", http.NoBody)
		r.Body, r.ContentLength = up, -1
		if err := Admit(&function.Version{Spec: function.Spec{Entry: function.Entry{Type: typ}}}, r); err != nil {
			t.Fatal(err)
		}
		if _, still := r.Body.(function.Upload); still != comes {
			t.Errorf("the body of a request to %s is %T", typ, r.Body)
		}
		if b, err := io.ReadAll(r.Body); err != nil || !comes && (r.ContentLength != 5 || strings.Compare(string(b), "whole") != 0) {
			t.Errorf("body = %q of %d, %v", b, r.ContentLength, err)
		}
	}
}
