package entry

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// playStream is the function's side of streams; it says whether the behaviour is one.
func playStream(verb string, w http.ResponseWriter, r *http.Request) bool {
	flush := func(text string) {
		io.WriteString(w, text)
		w.(http.Flusher).Flush()
	}
	switch verb {
	case "trailers":
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Content-Type", "text/event-stream")
		flush("data: one\n\n")
		<-wake(r)
		flush("data: two\n\n")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
	case "watched": // until the client goes
		flush("here")
		<-r.Context().Done()
		fmt.Println("noticed")
	case "torn":
		flush("half")
		<-wake(r)
		c, _, _ := w.(http.Hijacker).Hijack()
		c.Close()
	case "ended":
		flush("half")
		<-wake(r)
		fmt.Fprintln(os.Stderr, "out of luck")
		os.Exit(9)
	case "endless":
		io.Copy(w, endless{})
	case "switch": // to a protocol that echoes
		w.Header().Set("Upgrade", r.Header.Get("X-To"))
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		io.Copy(c, buf)
		c.Close()
		fmt.Println("tunnel over")
	case "hints":
		io.Copy(io.Discard, r.Body) // net/http says 100 Continue when asked to
		w.Header().Set("Link", "</a.css>")
		w.Header().Set("Keep-Alive", "5")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusOK)
	case "sum":
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v %v", b, r.TransferEncoding, r.Trailer)
	case "smuggle": // what two readers may understand differently
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		if r.URL.Path == "/chunks" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n")
		} else {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
		}
	case "warming": // ready at the third time of asking
		if n := asked.Add(1); n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		fmt.Fprintf(w, "%s %d", r.URL.RequestURI(), asked.Load())
	case "gather": // answers when as many are there
		n, _ := strconv.Atoi(os.Getenv(behaviour)[len("http:gather="):])
		if int(asked.Add(1)) == n {
			close(wakeups)
		}
		<-wakeups
		io.WriteString(w, r.RemoteAddr)
	case "abort":
		panic(http.ErrAbortHandler)
	case "sick":
		w.WriteHeader(http.StatusInternalServerError)
	default:
		return playUpload(verb, w, r, flush)
	}
	return true
}

// asked counts requests.
var asked atomic.Int32

// wakeups lets one request wait for another.
var wakeups = make(chan struct{}, 1)

// wake is ready when /go was asked for; that request itself waits for nothing.
func wake(r *http.Request) <-chan struct{} {
	if r.URL.Path == "/go" {
		wakeups <- struct{}{}
		done := make(chan struct{})
		close(done)
		return done
	}
	return wakeups
}

// taker is a client of streamed answers.
type taker struct {
	head  function.Head
	parts chan string   // what was written, part by part; the writer waits until it is taken
	gone  chan struct{} // closed when the client leaves
	fail  error         // of the first Write
	hints []string      // interim answers

	tunnel chan net.Conn // the client's end of one
}

func newTaker() *taker {
	return &taker{tunnel: make(chan net.Conn, 1), parts: make(chan string), gone: make(chan struct{})}
}

func (k *taker) Respond(h function.Head) (io.Writer, error) {
	k.head = h
	return k, nil
}

func (k *taker) Upgrade(h http.Header) (net.Conn, error) {
	mine, theirs := net.Pipe()
	k.head.Header = h
	k.tunnel <- mine
	return theirs, nil
}

func (k *taker) Inform(status int, fields http.Header) {
	k.hints = append(k.hints, fmt.Sprint(status, fields["Link"], fields["Keep-Alive"]))
}

func (k *taker) Gone() <-chan struct{} { return k.gone }

func (k *taker) Write(p []byte) (int, error) {
	if k.fail != nil {
		return 0, k.fail
	}
	select {
	case k.parts <- string(p):
		return len(p), nil
	case <-k.gone:
		return 0, errors.New("the client is gone")
	}
}

// streaming is an invocation under way.
type streaming struct {
	*taker
	t    *testing.T
	done chan struct{}
	res  *function.Result
	err  error
}

func open(t *testing.T, c Conn, path string) *streaming {
	s := &streaming{taker: newTaker(), t: t, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		r := httptest.NewRequest("GET", path, http.NoBody)
		if to, ok := strings.CutPrefix(path, "/switch/"); ok {
			r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}, "X-To": {to}}
		}
		s.res, s.err = c.Invoke(t.Context(), &function.Invocation{ID: "id", Request: r, Responder: s.taker})
	}()
	return s
}

func (s *streaming) part(want string) {
	s.t.Helper()
	select {
	case got := <-s.parts:
		if got != want {
			s.t.Fatalf("part = %q, want %q", got, want)
		}
	case <-s.done:
		s.t.Fatalf("the answer ended (%+v, %v), want %q", s.res, s.err, want)
	case <-time.After(10 * time.Second):
		s.t.Fatalf("nothing came, want %q", want)
	}
}

func (s *streaming) end() (*function.Result, error) {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		s.t.Fatal("the invocation does not end")
	}
	return s.res, s.err
}

// rest takes all that comes.
func (s *streaming) rest() (text string) {
	for {
		select {
		case p := <-s.parts:
			text += p
		case <-s.done:
			return text
		}
	}
}

func two(spec *function.Spec) { spec.Entry.Concurrency = 2 }

func TestAnAnswerIsPassedOnAsItComes(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:trailers", two))
	st := open(t, c, "/")
	st.part("data: one\n\n")
	other := open(t, c, "/go")
	st.part("data: two\n\n")
	r, err := st.end()
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, r, function.Succeeded)
	if r.Streamed != 22 || r.Body != nil || r.Status != 200 || r.Abandoned {
		t.Errorf("Streamed, Body, Status, Abandoned = %d, %q, %d, %v", r.Streamed, r.Body, r.Status, r.Abandoned)
	}
	if r.Trailer.Get("X-Sum") != "42" || r.Trailer.Get("X-Late") != "1" {
		t.Errorf("Trailer = %v", r.Trailer)
	}
	h := st.head
	if h.Status != 200 || h.Length != -1 || h.Header.Get("Content-Type") != "text/event-stream" || !slices.Equal(h.Trailer, []string{"X-Sum"}) {
		t.Errorf("head = %+v", h)
	}
	if h.Header["Transfer-Encoding"] != nil || h.Header["Trailer"] != nil {
		t.Errorf("fields of the connection came through: %v", h.Header)
	}
	if text := other.rest(); text != "data: one\n\ndata: two\n\n" {
		t.Errorf("second answer = %q", text)
	}
}

func TestAFunctionNoticesThatTheClientWent(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		name  string
		leave func(*streaming)
	}{
		{"while nothing comes", func(st *streaming) { st.part("here"); close(st.gone) }},
		{"while it is written to", func(st *streaming) { close(st.gone) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := s.start(version("http:watched"))
			st := open(t, conn, "/")
			c.leave(st)
			r, err := st.end()
			if err != nil || r.Outcome != function.Succeeded || !r.Abandoned {
				t.Fatalf("Invoke = %+v, %v, want an abandoned answer", r, err)
			}
			s.line("noticed")
		})
	}
}

func TestAStreamThatDoesNotComeToItsEnd(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		behaves, part string
		outcome       function.Outcome
		text          string
	}{
		{"http:torn", "half", function.Crashed, "broke the connection off"},
		{"http:ended", "half", function.Crashed, "out of luck"},
		{"http:watched", "here", function.TimedOut, "longer than its time-out of 1s"},
	} {
		t.Run(c.behaves, func(t *testing.T) {
			conn := s.start(version(c.behaves, two, func(spec *function.Spec) {
				if c.outcome == function.TimedOut {
					spec.Timeout = function.Duration(time.Second)
				}
			}))
			st := open(t, conn, "/")
			st.part(c.part)
			if c.outcome != function.TimedOut {
				go func() {
					_, _ = conn.Invoke(t.Context(), &function.Invocation{ID: "id", Request: httptest.NewRequest("GET", "/go", http.NoBody)})
				}()
			}
			r, err := st.end()
			if err != nil || r.Outcome != c.outcome || !strings.Contains(r.Failure.Message, c.text) {
				t.Fatalf("Invoke = %+v, %v, want %s %q", r, err, c.outcome, c.text)
			}
			if r.Streamed != int64(len(c.part)) || r.Status != 200 {
				t.Errorf("Streamed, Status = %d, %d, want what the client got", r.Streamed, r.Status)
			}
		})
	}
}

// A function that gives without end is held up by a client that does not take, and stopped when the client has gone.
func TestASlowClientSlowsTheFunction(t *testing.T) {
	s := newStage(t)
	st := open(t, s.start(version("http:endless")), "/")
	for range 8 {
		select {
		case p := <-st.parts:
			if len(p) > streamChunk || strings.Trim(p, "\x00") != "" {
				t.Fatalf("part of %d bytes", len(p))
			}
		case <-st.done:
			t.Fatalf("the answer ended: %+v, %v", st.res, st.err)
		}
	}
	close(st.gone)
	if r, err := st.end(); err != nil || !r.Abandoned || r.Streamed > 8*streamChunk {
		t.Errorf("Invoke = %+v, %v, want an abandoned answer of what was taken", r, err)
	}
}

func TestWhatIsCollectedThoughItCouldBeStreamed(t *testing.T) {
	for _, c := range []struct {
		name, method, answer string
		want                 bool
	}{
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true},
		{"to the end", "GET", "HTTP/1.0 200 OK\r\n\r\n", true},
		{"long", "GET", "HTTP/1.1 206 Partial Content\r\nContent-Length: 65537\r\n\r\n", true},
		{"short", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", false},
		{"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", false},
		{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99999\r\n\r\n", false},
		{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", false},
		{"failure", "GET", "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n", false},
		{"event", "GET", "HTTP/1.1 200 OK\r\nCe-Specversion: 1.0\r\nTransfer-Encoding: chunked\r\n\r\n", false},
		{"events", "GET", "HTTP/1.1 200 OK\r\nContent-Type: application/cloudevents-batch+json\r\nTransfer-Encoding: chunked\r\n\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := scripted(t, script{answers: []string{c.answer}})
			a, err := h.begin(request(t, c.method, ""), soon(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer a.end(false)
			if got := streams(a.Response); got != c.want {
				t.Errorf("streams(%q) = %v, want %v", c.answer, got, c.want)
			}
		})
	}
}

func TestReadyWhenItsPathSaysSo(t *testing.T) {
	ready := func(spec *function.Spec) { spec.Entry.Ready = "/up?deep=1" }
	s := newStage(t)
	c := s.start(version("http:warming", ready))
	if r := s.invoke(c, &function.Invocation{ID: "1", Request: httptest.NewRequest("GET", "/x", http.NoBody)}); string(r.Body) != "/x 4" {
		t.Errorf("answer = %q, want that of the fourth request", r.Body)
	}
	s = newStage(t, func(o *Options) { o.InitTimeout = time.Second })
	err := s.startError(version("http:sick", ready))
	if want := "not ready within 1s: /up?deep=1 on its port 8080 did not answer 2xx: it answered 500"; !strings.Contains(err.Failure.Message, want) {
		t.Errorf("Start = %v, want %q", err, want)
	}
}

func TestATunnelCarriesBothWays(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		c := s.start(version("http:switch"))
		st := open(t, c, "/switch/ECHO")
		nc := <-st.tunnel
		for _, text := range []string{"one", "two"} {
			if _, err := io.WriteString(nc, text); err != nil {
				t.Fatal(err)
			}
			back := make([]byte, len(text))
			if _, err := io.ReadFull(nc, back); err != nil || string(back) != text {
				t.Fatalf("echo = %q, %v, want %q", back, err, text)
			}
		}
		nc.Close()
		if r, err := st.end(); err != nil || r.Outcome != function.Succeeded || r.Status != 101 || r.Streamed != 6 {
			t.Errorf("Invoke = %+v, %v", r, err)
		}
		s.line("tunnel over")
	})
}

func TestAStopEndsATunnel(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:switch"))
	st := open(t, c, "/switch/echo")
	nc := <-st.tunnel
	c.Stop(0)
	if n, err := nc.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a function that is gone", n)
	}
	if r, err := st.end(); err != nil || r.Status != 101 {
		t.Errorf("Invoke = %+v, %v", r, err)
	}
}

func TestAFunctionSwitchesOnlyToWhatWasAskedFor(t *testing.T) {
	s := newStage(t)
	st := open(t, s.start(version("http:switch")), "/switch/other")
	r, err := st.end()
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, r, function.BadAnswer, "Function.InvalidResponse", `switched to protocol "other", and the client had asked for "echo"`)
}

func TestATunnelOnWhichNothingMovesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, client := net.Pipe()
		far, fn := net.Pipe()
		p := pipes{idle: time.Minute}
		begin := time.Now()
		p.moved.Store(begin.UnixNano())
		var both sync.WaitGroup
		both.Go(func() { p.carry(far, client, client) })
		both.Go(func() { p.carry(client, far, far) })
		time.Sleep(50 * time.Second) // the time of the bubble
		go func() { _, _ = io.WriteString(near, "x") }()
		if _, err := fn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		both.Wait()
		if lived := time.Since(begin); lived != 110*time.Second {
			t.Errorf("the tunnel lived for %s, want a minute after what moved last", lived)
		}
	})
}

// ends is a pipe's side that can end its own way and still read.
type ends struct{ net.Conn }

func (ends) CloseWrite() error { return nil }

// over reads nothing but the end.
type over struct{}

func (over) Read([]byte) (int, error) { return 0, io.EOF }

func TestATunnelDoesNotOutliveOneSideForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := net.Pipe()
		_, far := net.Pipe()
		p := pipes{idle: time.Hour}
		begin := time.Now()
		p.moved.Store(begin.UnixNano())
		var both sync.WaitGroup
		both.Go(func() { p.carry(far, ends{client}, client) })
		synctest.Wait() // it waits for a client that says nothing
		both.Go(func() { p.carry(ends{client}, far, over{}) })
		both.Wait()
		if lived := time.Since(begin); lived != tunnelLinger {
			t.Errorf("the tunnel lived for %s after the function had ended it, want %s", lived, tunnelLinger)
		}
	})
}

func TestInterimAnswersReachTheClient(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:hints"))
	st := open(t, c, "/")
	r, err := st.end()
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, r, function.Succeeded)
	if want := []string{"103 [</a.css>] []", "102 [</a.css>] []"}; !slices.Equal(st.hints, want) || r.Status != 200 || r.Header["Link"] != nil {
		t.Errorf("hints = %q, answer %d %v, want %q, and a plain answer", st.hints, r.Status, r.Header, want)
	}
	wantOutcome(t, s.invoke(c, payload("{}")), function.Succeeded) // nobody to tell
}

func TestTrailersOfARequestReachTheFunction(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:sum"))
	large := strings.Repeat("x", 2*sentAtOnce)
	for _, tt := range []struct {
		name, body, want string
		trailer          http.Header
	}{
		{"some", "hello", "hello [chunked] map[X-Sum:[42]]", http.Header{"X-Sum": {"42"}, "X-Unsent": nil}},
		{"behind nothing", "", " [chunked] map[X-Sum:[42]]", http.Header{"X-Sum": {"42"}}},
		{"behind much", large, large + " [chunked] map[X-Sum:[42]]", http.Header{"X-Sum": {"42"}}},
		{"none", "hello", "hello [] map[]", nil},
		{"not for clients to say", "hello", "hello [] map[]", http.Header{
			"Dalamb-Run": {"forged"}, "Dalamb_auth_id": {"root"}, "X-Forwarded-For": {"10.0.0.1"}, "X_forwarded-For": {"10.0.0.1"}, "X-Real-Ip": {"10.0.0.1"}, "X_request_id": {"1"},
			"X_mine": {"2"}, "Content_length": {"2"}, "Set_cookie": {"2"}, "Content-Length": {"2"}, "Transfer-Encoding": {"chunked"},
			"Authorization": {"Bearer x"}, "X-Mine": {"2"}, "X-Line": {"a\r\nb"}, "No Name": {"1"}, "Traceparent": {"00"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(tt.body))
			r.Header, r.Trailer = http.Header{"X-Mine": {"1"}}, tt.trailer
			got := s.invoke(c, &function.Invocation{ID: "1", Request: r})
			if string(got.Body) != tt.want {
				t.Errorf("the function read %q, want %q", cut(string(got.Body), 99), cut(tt.want, 99))
			}
		})
	}
}
