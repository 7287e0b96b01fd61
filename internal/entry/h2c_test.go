package entry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/dalamb/dalamb/internal/function"
)

// speaks is the variable that says which protocol a function of these tests speaks.
const speaks = "ENTRY_TEST_PROTOCOL"

// listen is the function's server.
func listen() error {
	s := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT")}
	if os.Getenv(speaks) == function.ProtocolH2C {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetUnencryptedHTTP2(true)
		s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 20}
	}
	return s.ListenAndServe()
}

// inHTTP2 makes a function of these tests one that speaks HTTP/2.
func inHTTP2(spec *function.Spec) {
	spec.Entry.Protocol, spec.Entry.Concurrency = function.ProtocolH2C, 50
	spec.Env[speaks] = function.ProtocolH2C
}

func TestHTTP2CarriesBothWays(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		c := s.start(version("http:trailers", inHTTP2))
		st := open(t, c, "/")
		st.part("data: one\n\n")
		other := open(t, c, "/go")
		st.part("data: two\n\n")
		r, err := st.end()
		if err != nil || r.Outcome != function.Succeeded || r.Streamed != 22 || r.Trailer.Get("X-Sum") != "42" || r.Trailer.Get("X-Late") != "1" {
			t.Errorf("Invoke = %+v, %v", r, err)
		}
		if h := st.head; h.Length != -1 || h.Header["Trailer"] != nil || !slices.Equal(h.Trailer, []string{"X-Sum"}) {
			t.Errorf("head = %+v", h)
		}
		if text := other.rest(); text != "data: one\n\ndata: two\n\n" {
			t.Errorf("second answer = %q", text)
		}
	})
}

func TestARequestByHTTP2(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:echo", inHTTP2, func(spec *function.Spec) { spec.Entry.Ready = "/up" }))
	r := httptest.NewRequest("PUT", "http://shop.example/a%2Fb/c?q=1", strings.NewReader("hello"))
	r.Header = http.Header{"Content-Type": {"text/plain"}, "X-Mine": {"1", "2"}, "Connection": {"X-Hop, Upgrade"}, "X-Hop": {"1"}, "Upgrade": {"websocket"}}
	res := s.invoke(c, &function.Invocation{ID: "id-1", Request: r, Responder: newTaker()})
	got := tell(t, res)
	if got.Method != "PUT" || got.Path != "/a%2Fb/c" || got.Query != "q=1" || got.Host != "shop.example" || got.Body != "hello" {
		t.Errorf("request = %+v", got)
	}
	if !slices.Equal(got.Header["X-Mine"], []string{"1", "2"}) || got.Header.Get("Te") != "trailers" || got.Header.Get("Dalamb-Request-Id") != "id-1" {
		t.Errorf("header = %v", got.Header)
	}
	for _, name := range []string{"X-Hop", "Upgrade", "Connection", "User-Agent"} {
		if v, ok := got.Header[name]; ok {
			t.Errorf("%s = %v came through", name, v)
		}
	}
	if res.Header.Get("Connection") != "" {
		t.Errorf("header of the answer = %v", res.Header)
	}
	wantOutcome(t, s.invoke(c, payload(`{"n":1}`)), function.Succeeded)
	wantOutcome(t, s.once("http:status=500", payload("{}"), inHTTP2), function.Failed)
}

func TestTrailersAndHintsByHTTP2(t *testing.T) {
	s := newStage(t)
	r := httptest.NewRequest("POST", "/", strings.NewReader("in"))
	r.Trailer = http.Header{"X-Sum": {"42"}}
	res := s.once("http:sum", &function.Invocation{ID: "1", Request: r}, inHTTP2)
	if want := "in [] map[X-Sum:[42]]"; string(res.Body) != want {
		t.Errorf("the function got %q, want %q", res.Body, want)
	}
	k := newTaker()
	wantOutcome(t, s.once("http:hints", &function.Invocation{ID: "1", Request: httptest.NewRequest("GET", "/", http.NoBody), Responder: k}, inHTTP2), function.Succeeded)
	if want := []string{"103 [</a.css>] []", "102 [</a.css>] []"}; !slices.Equal(k.hints, want) {
		t.Errorf("hints = %q, want %q", k.hints, want)
	}
}

// Requests share a connection up to what the function allows, 20; one that ends does not end the others.
func TestStreamsOfOneConnection(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:gather=20", inHTTP2))
	peers := make([]string, 20)
	var all sync.WaitGroup
	for i := range peers {
		all.Go(func() {
			r, err := c.Invoke(t.Context(), &function.Invocation{ID: "id", Request: httptest.NewRequest("GET", "/", http.NoBody)})
			if err != nil || r.Outcome != function.Succeeded {
				t.Errorf("Invoke = %+v, %v", r, err)
				return
			}
			peers[i] = string(r.Body)
		})
	}
	all.Wait()
	slices.Sort(peers)
	if n := len(slices.Compact(peers)); n > 2 { // the first ones may each have begun before a connection was there
		t.Errorf("20 requests came by %d connections", n)
	}
}

func TestAClientThatGoesResetsItsStream(t *testing.T) {
	s := newStage(t)
	conn := s.start(version("http:watched", inHTTP2))
	st, other := open(t, conn, "/"), open(t, conn, "/")
	st.part("here")
	other.part("here")
	close(st.gone)
	if r, err := st.end(); err != nil || !r.Abandoned || r.Outcome != function.Succeeded {
		t.Errorf("Invoke = %+v, %v", r, err)
	}
	s.line("noticed")
	select {
	case <-other.done:
		t.Errorf("the other request ended too: %+v, %v", other.res, other.err)
	default:
	}
	close(other.gone)
	_, _ = other.end()
}

func TestASlowClientSlowsTheFunctionByHTTP2(t *testing.T) {
	s := newStage(t)
	conn := s.start(version("http:endless", inHTTP2))
	st, other := open(t, conn, "/"), open(t, conn, "/") // of which nothing is taken
	for range 40 {
		if p := <-st.parts; len(p) > streamChunk {
			t.Fatalf("part of %d bytes", len(p))
		}
	}
	close(st.gone)
	close(other.gone)
	for _, one := range []*streaming{st, other} {
		if r, err := one.end(); err != nil || !r.Abandoned {
			t.Errorf("Invoke = %+v, %v", r, err)
		}
	}
}

func TestHowARequestByHTTP2Fails(t *testing.T) {
	s := newStage(t)
	short := func(spec *function.Spec) { spec.Timeout = function.Duration(time.Second) }
	old := func(spec *function.Spec) { spec.Entry.Protocol = function.ProtocolH2C } // the function does not know of it
	for _, c := range []struct {
		behaves   string
		change    []func(*function.Spec)
		outcome   function.Outcome
		typ, text string
	}{
		{"http:abort", []func(*function.Spec){inHTTP2}, function.Failed, "Stream.Reset", "RST_STREAM with error code 2"},
		{"http:crash", []func(*function.Spec){inHTTP2}, function.Crashed, "Runtime.ExitError", "out of luck"},
		{"http:hang", []func(*function.Spec){inHTTP2, short}, function.TimedOut, "Sandbox.Timedout", "longer than its time-out of 1s"},
		{"http:noop", []func(*function.Spec){old}, function.BadAnswer, "Function.InvalidResponse", `is not HTTP/2: its connection begins with "HTTP`},
		{"http:big=6291457", []func(*function.Spec){inHTTP2}, function.BadAnswer, "Function.ResponseSizeTooLarge", "limit of 6291456 bytes"},
	} {
		t.Run(c.behaves, func(t *testing.T) {
			wantFailure(t, s.once(c.behaves, payload("{}"), c.change...), c.outcome, c.typ, c.text)
		})
	}
}

// frames is a function that speaks HTTP/2 by hand: play gets each connection after the client's preface and the first SETTINGS of both.
func frames(t *testing.T, play func(n int, f *http2.Framer)) *h2cClient {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for n := 1; ; n++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer nc.Close()
				if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				f := http2.NewFramer(nc, nc)
				if f.WriteSettings() == nil {
					play(n, f)
				}
			})
		}
	})
	h := newH2C(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	})
	t.Cleanup(func() {
		l.Close()
		h.close()
		served.Wait()
	})
	return h
}

// asked reads frames until a request has come, and gives its stream; 0 = the connection ended.
func askedBy(f *http2.Framer) uint32 {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return 0
		}
		if h, ok := frame.(*http2.HeadersFrame); ok {
			return h.StreamID
		}
	}
}

// drain reads until the client has closed the connection.
func drain(f *http2.Framer) {
	for {
		if _, err := f.ReadFrame(); err != nil {
			return
		}
	}
}

// block is a header in HPACK.
func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a buffer takes all
	}
	return b.Bytes()
}

func TestHostileFrames(t *testing.T) {
	headers := func(f *http2.Framer, id uint32, end bool, fields ...string) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(fields...), EndHeaders: true, EndStream: end})
	}
	isNotHTTP := func(err error) bool { _, is := errors.AsType[errNotHTTP](err); return is }
	any := func(err error) bool { return err != nil }
	for _, c := range []struct {
		name string
		play func(f *http2.Framer, id uint32)
		want func(error) bool
	}{
		{"a control character in a field", func(f *http2.Framer, id uint32) { headers(f, id, true, ":status", "200", "x-a", "b\r\nx-c: d") }, isNotHTTP},
		{"capitals in a name", func(f *http2.Framer, id uint32) { headers(f, id, true, ":status", "200", "X-A", "b") }, isNotHTTP},
		{"no status", func(f *http2.Framer, id uint32) { headers(f, id, true, "x-a", "b") }, isNotHTTP},
		{"a status that is none", func(f *http2.Framer, id uint32) { headers(f, id, true, ":status", "two hundred") }, any},
		{"fewer bytes than announced", func(f *http2.Framer, id uint32) {
			headers(f, id, false, ":status", "200", "content-length", "5")
			_ = f.WriteData(id, true, []byte("abc"))
		}, any},
		{"data of a stream that nobody opened", func(f *http2.Framer, id uint32) { _ = f.WriteData(id+2, true, []byte("abc")) }, any},
		{"a push that nobody allowed", func(f *http2.Framer, id uint32) {
			_ = f.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: block(":method", "GET"), EndHeaders: true})
		}, any},
		{"more fields than anybody reads", func(f *http2.Framer, id uint32) {
			fields := []string{":status", "200"}
			for i := range maxHTTPFields + 1 {
				fields = append(fields, fmt.Sprint("x-", i), "")
			}
			headers(f, id, true, fields...)
		}, isNotHTTP},
		{"a header without end", func(f *http2.Framer, id uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "200")})
			for i := 0; f.WriteContinuation(id, false, block("x-a", strings.Repeat(fmt.Sprint(i%10), 8<<10))) == nil; i++ {
			}
		}, any},
		{"interim answers without end", func(f *http2.Framer, id uint32) {
			for f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "103", "link", strings.Repeat("x", 4<<10)), EndHeaders: true}) == nil {
			}
		}, any},
		{"a frame that is too large", func(f *http2.Framer, id uint32) { _ = f.WriteRawFrame(http2.FrameData, 0, id, make([]byte, 2<<20)) }, any},
		{"a window that overflows", func(f *http2.Framer, id uint32) {
			_ = f.WriteWindowUpdate(0, 1<<31-1)
			_ = f.WriteWindowUpdate(0, 1<<31-1)
		}, any},
		{"a connection that ends", func(f *http2.Framer, id uint32) { _ = f.WriteGoAway(id, http2.ErrCodeInternal, []byte("bye")) }, any},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := frames(t, func(_ int, f *http2.Framer) {
				id := askedBy(f)
				if id == 0 {
					return
				}
				c.play(f, id)
				if c.name != "a connection that ends" {
					drain(f)
				}
			})
			resp, body, err := ask(h, request(t, "POST", "in"), soon(), defaultAnswer)
			if errors.Is(err, context.DeadlineExceeded) || !c.want(err) {
				t.Errorf("answer = %v, %q, %v (%T)", resp, body, err, err)
			}
		})
	}
}

// What the function says that it has not begun goes over another connection.
func TestARequestThatWasNotBegunIsSentAgain(t *testing.T) {
	for name, refuse := range map[string]func(f *http2.Framer, id uint32){
		"refused": func(f *http2.Framer, id uint32) {
			_ = f.WriteRSTStream(id, http2.ErrCodeRefusedStream)
			_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
		},
		"went away": func(f *http2.Framer, id uint32) { _ = f.WriteGoAway(0, http2.ErrCodeNo, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			h := frames(t, func(n int, f *http2.Framer) {
				id := askedBy(f)
				switch {
				case id == 0:
					return
				case n == 1:
					refuse(f, id)
				default:
					_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "200"), EndHeaders: true})
					_ = f.WriteData(id, true, []byte("ok"))
				}
				drain(f)
			})
			if _, body, err := ask(h, request(t, "POST", "in"), soon(), defaultAnswer); err != nil || string(body) != "ok" {
				t.Errorf("answer = %q, %v", body, err)
			}
		})
	}
}

func FuzzSettings(f *testing.F) {
	for _, s := range []string{"", "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "HTTP/1.1 400 Bad Request\r\n", "\x00\x00\x06\x04\x00\x00\x00\x00\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(from io.Reader) string {
			got, err := io.ReadAll(&settled{Conn: oneWay{Reader: from}, known: make(chan struct{}), told: func(error) {}})
			return fmt.Sprint(len(got) == len(b), err != nil)
		}
		if whole, pieces := read(bytes.NewReader(b)), read(iotest.OneByteReader(bytes.NewReader(b))); strings.HasSuffix(whole, "true") != strings.HasSuffix(pieces, "true") {
			t.Errorf("%q is read as %s, in pieces as %s", b, whole, pieces)
		}
	})
}
