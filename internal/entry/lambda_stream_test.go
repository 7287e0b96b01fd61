package entry

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// sink is a client of a streamed answer.
type sink struct {
	head   function.Head
	body   bytes.Buffer
	writes int
	pieces chan string // of what is written; nil = not told
	refuse error
	gone   chan struct{}
}

func newSink() *sink { return &sink{gone: make(chan struct{})} }

func (k *sink) Respond(h function.Head) (io.Writer, error) {
	k.head = h
	return k, k.refuse
}

func (k *sink) Gone() <-chan struct{} { return k.gone }

func (k *sink) Write(p []byte) (int, error) {
	if k.pieces != nil {
		k.pieces <- string(p)
	}
	k.writes++
	return k.body.Write(p)
}

// streamTo starts an invocation whose answer goes to k. The function is the test, which has taken the invocation: it writes to nc.
func streamTo(t *testing.T, k *sink, change ...func(*function.Spec)) (nc net.Conn, respond string, result <-chan *function.Result) {
	t.Helper()
	c, dial := playRuntime(t, change...)
	inv := &function.Invocation{ID: event.NewID(), Request: httptest.NewRequest("GET", "/", nil), Responder: k}
	nc, result = take(t, c, dial, inv)
	respond = "POST /2018-06-01/runtime/invocation/" + inv.ID + "/response HTTP/1.1\r\nHost: x\r\n" +
		"Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
	return nc, respond, result
}

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

const (
	withPrelude = "Content-Type: application/vnd.awslambda.http-integration-response\r\n\r\n"
	prelude     = `{"statusCode":201,"headers":{"X-A":"b"},"cookies":["c=d"]}` + "\x00\x00\x00\x00\x00\x00\x00\x00"
	lastChunk   = "0\r\n\r\n"
)

// Who asked with a payload gets all that is streamed as it is, also what tells an HTTP client the status.
func TestAStreamForAPayloadIsPassedOnAsItIs(t *testing.T) {
	for name, fields := range map[string]string{
		"announced": "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n",
		"prelude":   withPrelude,
	} {
		t.Run(name, func(t *testing.T) {
			k := newSink()
			c, dial := playRuntime(t)
			inv := payload(`"hello"`)
			inv.Responder = k
			nc, result := take(t, c, dial, inv)
			io.WriteString(nc, "POST /2018-06-01/runtime/invocation/"+inv.ID+"/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"+fields+
				chunk(prelude)+chunk("body")+lastChunk)
			if r := <-result; r.Outcome != function.Succeeded || k.body.String() != prelude+"body" || r.Streamed != int64(len(prelude+"body")) {
				t.Errorf("result %+v, client got %q", r, &k.body)
			}
		})
	}
}

func TestAStreamedAnswerIsPassedOnPieceByPiece(t *testing.T) {
	k := newSink()
	k.pieces = make(chan string)
	nc, respond, result := streamTo(t, k)
	io.WriteString(nc, respond+withPrelude+chunk(prelude[:20])+chunk(prelude[20:]+"one"))
	if got := <-k.pieces; got != "one" {
		t.Errorf("first piece = %q, want one", got)
	}
	if k.head.Status != 201 || k.head.Header.Get("X-A") != "b" || k.head.Header.Get("Set-Cookie") != "c=d" || k.head.Length != -1 {
		t.Errorf("head = %+v, want that of the prelude", k.head)
	}
	io.WriteString(nc, chunk("two")) // only after the client has the first
	if got := <-k.pieces; got != "two" {
		t.Errorf("second piece = %q, want two", got)
	}
	io.WriteString(nc, lastChunk)
	r := <-result
	wantOutcome(t, r, function.Succeeded)
	if r.Streamed != 6 || r.Body != nil || r.Status != 201 || r.Abandoned {
		t.Errorf("result = %+v, want 6 bytes streamed", r)
	}
	wantAccepted(t, nc)
}

func wantAccepted(t *testing.T, nc net.Conn) {
	t.Helper()
	resp, err := http.ReadResponse(newReader(nc), nil)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Errorf("answer to the function = %v, %v; want 202", resp, err)
	}
}

func TestHowAStreamEnds(t *testing.T) {
	broken := "0\r\nLambda-Runtime-Function-Error-Type: E\r\nLambda-Runtime-Function-Error-Body: " +
		base64.StdEncoding.EncodeToString([]byte(`{"errorType":"E","errorMessage":"no such card"}`)) + "\r\n\r\n"
	trailer := "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
	tests := []struct {
		name    string
		sends   string
		closes  bool // the connection after it
		outcome function.Outcome
		typ     string
		taken   string
		told    int // the status that the function gets; 0 = the connection is gone
	}{
		{"without a prelude", "Content-Type: text/csv\r\n\r\n" + chunk("a,b") + lastChunk, false, function.Succeeded, "", "a,b", 202},
		{"empty", "\r\n" + lastChunk, false, function.Succeeded, "", "", 202},
		{"a status without a body", withPrelude + chunk(`{"statusCode":204}`+prelude[len(prelude)-8:]+"x") + lastChunk, false, function.Succeeded, "", "", 202},
		{"error in the trailers", trailer + withPrelude + chunk(prelude+"part") + broken, false, function.Failed, "E", "part", 202},
		{"broken off", withPrelude + chunk(prelude+"part"), true, function.Failed, "Runtime.TruncatedResponse", "part", 0},
		{"malformed", withPrelude + chunk(prelude+"part") + "zz\r\n", false, function.Failed, "Runtime.TruncatedResponse", "part", 0},
		{"no prelude where one is announced", withPrelude + chunk("hello") + lastChunk, false, function.BadAnswer, "Function.InvalidResponse", "", 400},
		{"a prelude that is not JSON", withPrelude + chunk("hello"+prelude[len(prelude)-8:]) + lastChunk, false, function.BadAnswer, "Function.InvalidResponse", "", 400},
		{"a prelude without an end", withPrelude + chunk(strings.Repeat("x", maxPrelude+1)) + lastChunk, false, function.BadAnswer, "Function.InvalidResponse", "", 400},
		{"a prelude with a bad header", withPrelude + chunk(`{"headers":{"a\r\nb":"c"}}`+prelude[len(prelude)-8:]) + lastChunk, false, function.BadAnswer, "Function.InvalidResponse", "", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newSink()
			nc, respond, result := streamTo(t, k)
			io.WriteString(nc, respond+tt.sends)
			if tt.closes {
				nc.(*net.TCPConn).CloseWrite()
			}
			r := <-result
			wantOutcome(t, r, tt.outcome)
			if r.Failure != nil && r.Failure.Type != tt.typ {
				t.Errorf("failure = %+v, want type %s", r.Failure, tt.typ)
			}
			if k.body.String() != tt.taken || r.Streamed != int64(len(tt.taken)) && r.Status != 204 {
				t.Errorf("client has %q, result %d bytes; want %q", k.body.String(), r.Streamed, tt.taken)
			}
			resp, err := http.ReadResponse(newReader(nc), nil)
			switch {
			case tt.told == 0 && err == nil && resp.StatusCode < 300:
				t.Errorf("the function was told %d", resp.StatusCode)
			case tt.told != 0 && (err != nil || resp.StatusCode != tt.told):
				t.Errorf("the function was told %v, %v; want %d", resp, err, tt.told)
			}
		})
	}
}

func TestAStreamIsBounded(t *testing.T) {
	const limit = 3 * time.Second
	began := time.Now()
	k := newSink()
	nc, respond, result := streamTo(t, k, within(limit))
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.WriteString(nc, respond+"\r\n")
		piece := chunk(strings.Repeat("x", 1<<20))
		for range MaxStream>>20 + 1 {
			io.WriteString(nc, piece)
		}
		io.WriteString(nc, lastChunk)
	}()
	r := <-result
	wantFailure(t, r, function.BadAnswer, "Function.ResponseSizeTooLarge", "20971520")
	if r.Streamed > MaxStream {
		t.Errorf("%d bytes were passed on, more than %d", r.Streamed, MaxStream)
	}
	<-done
	resp, err := http.ReadResponse(newReader(nc), nil)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("the function was told %v, %v; want 413", resp, err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	// It asks for more, and may wait for longer than that invocation had.
	io.WriteString(nc, getNext)
	nc.SetReadDeadline(began.Add(limit + time.Second))
	if n, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the poll afterwards ended with %d bytes, %v; want it to wait", n, err)
	}
}

func TestAStreamToNobodyEnds(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		k := newSink()
		k.refuse = errors.New("gone")
		nc, respond, result := streamTo(t, k)
		io.WriteString(nc, respond+withPrelude+chunk(prelude+"part")+lastChunk)
		if r := <-result; !r.Abandoned || r.Outcome != function.Succeeded {
			t.Errorf("result = %+v, want it abandoned", r)
		}
		wantAccepted(t, nc) // it came to its end all the same
	})
	t.Run("and the function comes to its end", func(t *testing.T) {
		k := newSink()
		k.pieces = make(chan string)
		nc, respond, result := streamTo(t, k)
		io.WriteString(nc, respond+withPrelude+chunk(prelude+"part"))
		<-k.pieces
		close(k.gone)
		if r := <-result; !r.Abandoned || r.Streamed != 4 {
			t.Errorf("result = %+v, want it abandoned after 4 bytes", r)
		}
		io.WriteString(nc, chunk("more")+lastChunk)
		wantAccepted(t, nc)
	})
	t.Run("while the function is silent", func(t *testing.T) {
		k := newSink()
		k.pieces = make(chan string)
		nc, respond, result := streamTo(t, k)
		io.WriteString(nc, respond+withPrelude+chunk(prelude+"part"))
		<-k.pieces
		close(k.gone)
		if r := <-result; !r.Abandoned || r.Streamed != 4 {
			t.Errorf("result = %+v, want it abandoned after 4 bytes", r)
		}
		if _, err := io.ReadAll(nc); err != nil { // cut after a moment
			t.Errorf("read the function's connection: %v, want its end", err)
		}
	})
}

func TestATimeOutEndsAStream(t *testing.T) {
	k := newSink()
	nc, respond, result := streamTo(t, k, within(200*time.Millisecond))
	io.WriteString(nc, respond+withPrelude+chunk(prelude+"part"))
	r := <-result
	wantFailure(t, r, function.TimedOut, "Sandbox.Timedout", "200ms")
	if r.Streamed != 4 || r.Status != 201 {
		t.Errorf("result = %+v, want 4 bytes and the status that the client has", r)
	}
}

// A client that does not read makes the function wait: what is in between does not grow.
func TestASlowClientSlowsALambda(t *testing.T) {
	k := newSink()
	k.pieces = make(chan string) // nobody reads it yet
	nc, respond, result := streamTo(t, k)
	io.WriteString(nc, respond+"\r\n")
	const total = 16
	piece := chunk(strings.Repeat("x", 1<<20))
	nc.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	wrote := 0
	for range total {
		n, err := io.WriteString(nc, piece)
		wrote += n
		if err != nil {
			break
		}
	}
	if wrote == total*len(piece) {
		t.Fatalf("the function could write all %d bytes while the client took nothing", wrote)
	}
	go func() { // and now it reads
		for range k.pieces {
		}
	}()
	nc.SetWriteDeadline(time.Time{})
	rest := strings.Repeat(piece, total)[wrote:]
	io.WriteString(nc, rest+lastChunk)
	if r := <-result; r.Outcome != function.Succeeded || r.Streamed != total<<20 {
		t.Errorf("result = %s of %d bytes, want all %d", r.Outcome, r.Streamed, total<<20)
	}
	close(k.pieces)
}

func FuzzStreamHead(f *testing.F) {
	f.Add([]byte(prelude + "body"))
	f.Add([]byte(`{"statusCode":99}` + prelude[len(prelude)-8:]))
	f.Add([]byte(`{"statusCode":101}` + prelude[len(prelude)-8:]))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := &lambdaStream{req: &http.Request{Header: http.Header{"Content-Type": {streamPrelude}}}, body: newReader(bytes.NewReader(text))}
		if err := s.readHead(); err != nil {
			t.Fatalf("readHead(%q) = %v, want no error but the connection's", text, err)
		}
		ok := s.head.Outcome == function.Succeeded && s.head.Status >= 200 && s.head.Status <= 599 && s.head.Failure == nil
		if !ok && s.head.Outcome != function.BadAnswer {
			t.Errorf("readHead(%q) = %+v", text, s.head)
		}
	})
}
