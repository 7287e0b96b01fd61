package entry

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/dalamb/dalamb/internal/function"
)

func TestAnswersThatBreakTheRulesOfHTTP(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	many := strings.Repeat("X: 1\r\n", maxHTTPFields)
	for _, c := range []struct{ name, answer, want string }{
		{"length and coding", ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "both Content-Length and Transfer-Encoding"},
		{"coding and length", ok + "transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", "both Content-Length and Transfer-Encoding"},
		{"two lengths", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nok", "Content-Length"},
		{"a list of lengths", ok + "Content-Length: 2, 3\r\n\r\nok", "Content-Length"},
		{"a signed length", ok + "Content-Length: +2\r\n\r\nok", "Content-Length"},
		{"another coding", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer encoding"},
		{"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding in HTTP/1.0"},
		{"chunk size", ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", "chunk"},
		{"signed chunk size", ok + "Transfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n", "chunk"},
		{"huge chunk size", ok + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok", "chunk"},
		{"chunk longer than its size", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n", "chunk"},
		{"bare CR", ok + "X: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", "a bare CR"},
		{"bare LF", ok + "X: a\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", "a bare LF"},
		{"NUL", ok + "X: a\x00b\r\nContent-Length: 0\r\n\r\n", "field X has a control character"},
		{"folded", ok + "X: a\r\n b: c\r\nContent-Length: 0\r\n\r\n", "no field"},
		{"space before the colon", ok + "Content-Length : 2\r\n\r\nok", "no field"},
		{"no colon", ok + "Content-Length 2\r\n\r\nok", "no field"},
		{"many fields", ok + many + "X: 1\r\n\r\n", "more than 256 fields"},
		{"large", ok + "X: " + strings.Repeat("x", maxHTTPHeader) + "\r\n\r\n", "larger than 1048576 bytes"},
		{"hints without end", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", maxHTTPHeader/32), "larger than 1048576 bytes"},
		{"a hint that is none", "HTTP/1.1 103 Early Hints\r\nLink: </a>\rb\r\n\r\n" + okAnswer, "a bare CR"},
		{"two spaces", "HTTP/1.1  103 Hm\r\n\r\n" + okAnswer, "not with HTTP/1.1"},
		{"another version", "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n", "not with HTTP/1.1"},
		{"no status", "HTTP/1.1 099 Oh\r\n\r\n" + okAnswer, "not with HTTP/1.1"},
		{"another protocol", "SSH-2.0-OpenSSH_9.9\r\n\r\n", `"SSH-2.0-OpenSSH_9.9"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := scripted(t, script{answers: []string{c.answer}})
			resp, body, err := ask(h, request(t, "GET", ""), soon(), defaultAnswer)
			if _, ok := errors.AsType[errNotHTTP](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("do = %v, %q, %v, want it refused: %q", resp, body, err, c.want)
			}
			if len(h.idle) != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestAHeadWithAsMuchAsItMayHave(t *testing.T) {
	fields := strings.Repeat("X: \xfc\t1\r\n", maxHTTPFields-1)
	h, _ := scripted(t, script{answers: []string{"HTTP/1.1 103 Early Hints\r\n" + fields + "\r\nHTTP/1.1 200 \r\n" + fields + "Content-Length: 2\r\n\r\nok"}})
	resp, body, err := ask(h, request(t, "GET", ""), soon(), defaultAnswer)
	if err != nil || string(body) != "ok" || len(resp.Header["X"]) != maxHTTPFields-1 {
		t.Errorf("do = %v, %q, %v", resp, body, err)
	}
}

func TestAnAnswerThatIsNotHTTPIsABadAnswer(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:smuggle"))
	r := s.invoke(c, &function.Invocation{ID: "1", Request: httptest.NewRequest("GET", "/", http.NoBody)})
	wantFailure(t, r, function.BadAnswer, "Function.InvalidResponse", "not HTTP/1.1: it has both Content-Length and Transfer-Encoding")
	if len(r.Body) > 0 || r.Header != nil || r.Status != http.StatusBadGateway {
		t.Errorf("result = %+v, want nothing of the answer", r)
	}
	st := open(t, c, "/chunks")
	st.part("half")
	r, err := st.end()
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, r, function.BadAnswer, "Function.InvalidResponse", "chunk")
	if r.Streamed != 4 {
		t.Errorf("Streamed = %d, want what the client got", r.Streamed)
	}
}

// What a client wrote about its own connection, or to confuse two readers, is not what the function reads.
func TestARequestToAFunctionHasOneFraming(t *testing.T) {
	for _, c := range []struct {
		name, body string
		header     http.Header
		want       []string // the fields of framing and connection
	}{
		{"none", "", nil, nil},
		{"body", "hello", nil, []string{"Content-Length: 5"}},
		{"lengths", "hello", http.Header{"Content-Length": {"3", "9"}, "Transfer-Encoding": {"chunked"}}, []string{"Content-Length: 5"}},
		{"length of nothing", "", http.Header{"Content-Length": {"3"}, "Transfer-Encoding": {"chunked"}}, nil},
		{"connection", "hello", http.Header{"Connection": {"close, X-Mine", " te ,keep-alive"}, "X-Mine": {"1"}, "Te": {"gzip"}, "Keep-Alive": {"9"}}, []string{"Content-Length: 5"}},
		{"connection lists the framing", "hello", http.Header{"Connection": {"content-length, host, transfer-encoding"}}, []string{"Content-Length: 5"}},
		{"proxies", "", http.Header{"Proxy-Connection": {"keep-alive"}, "Proxy-Authorization": {"secret"}, "Proxy-Authenticate": {"Basic"}}, nil},
		{"upgrade", "", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"h2c"}, "Trailer": {"X-Mine"}}, nil},
		{"line ends", "", http.Header{"X-Line": {"a\r\nX-Mine: 1\r\n\r\nGET / HTTP/1.1"}}, nil},
		{"expectation", "hello", http.Header{"Expect": {"100-continue"}}, []string{"Content-Length: 5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://shop.example/", strings.NewReader(c.body))
			r.Header = c.header
			req, err := newRequest(&function.Invocation{ID: "1", Request: r}, addressee{host: "f", end: soon()})
			if err != nil {
				t.Fatal(err)
			}
			var wire bytes.Buffer
			if err := req.Write(&wire); err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(wire.String(), "\r\n\r\n")
			var got []string
			for _, line := range strings.Split(head, "\r\n")[1:] {
				name, _, _ := strings.Cut(line, ":")
				switch {
				case slices.Contains([]string{"Host", "X-Line", "Forwarded"}, name), strings.HasPrefix(name, "X-Forwarded-"), strings.HasPrefix(name, "Dalamb-"):
				default:
					got = append(got, line)
				}
			}
			if !slices.Equal(got, c.want) || body != c.body {
				t.Errorf("sent %q, want the fields %q and the body %q", wire.String(), c.want, c.body)
			}
		})
	}
}

// FuzzAnswer holds that an answer has one meaning, in whatever pieces it comes: it is read, or refused, or cut short.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		okAnswer, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okAnswer, "HTTP/1.0 200 OK\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX-Sum: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\nX: 1\n\nok",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		read := func(from io.Reader) string {
			w := &httpWire{nc: oneWay{Reader: from}}
			w.in.r = w.nc
			w.br = bufio.NewReader(&w.in)
			resp, err := w.receive(request(t, "GET", ""), nil)
			if err != nil {
				return "no answer"
			}
			for name, values := range resp.Header {
				if !validName(name) || slices.ContainsFunc(values, func(v string) bool { return !validValue(v) }) {
					t.Errorf("field %q: %q came through", name, values)
				}
			}
			body, err := (&answering{Response: resp, httpTurn: &wireTurn{client: &httpClient{}, wire: w, resp: resp}}).collect(defaultAnswer)
			return fmt.Sprintf("%d %v %q, whole: %v", resp.StatusCode, resp.Header, body, err == nil)
		}
		if whole, pieces := read(strings.NewReader(answer)), read(iotest.OneByteReader(strings.NewReader(answer))); whole != pieces {
			t.Errorf("%q is read as %s, in pieces as %s", answer, whole, pieces)
		}
	})
}

// oneWay is a connection that only gives.
type oneWay struct {
	net.Conn
	io.Reader
}

func (o oneWay) Read(p []byte) (int, error) { return o.Reader.Read(p) }

func (oneWay) Close() error { return nil }
