package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// http2 returns a client that begins with HTTP/2, and counts its connections.
func http2(t *testing.T) (*http.Client, *atomic.Int32) {
	var dials atomic.Int32
	tr := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, &dials
}

func TestHTTP2CarriesStreamsSideBySide(t *testing.T) {
	more := make(chan struct{})
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		r := c.Invocation.Request
		to := c.Invocation.Responder
		to.(function.Informer).Inform(103, http.Header{"Link": {"</a.css>"}})
		w, err := to.Respond(function.Head{Status: 200, Length: -1, Header: http.Header{"Content-Type": {"text/plain"}, "Connection": {"close"}}, Trailer: []string{"Grpc-Status"}})
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(w, "%s %s %v\n", body, r.Trailer.Get("X-Sum"), r.Header["Te"]); err != nil {
			return nil, err
		}
		<-more
		res := whole(1)
		if r.URL.Path == "/torn" {
			res.Outcome, res.Failure = function.Crashed, &function.Failure{Message: "ended"}
		}
		res.Trailer = http.Header{"Grpc-Status": {"0"}, "X-Late": {"1"}}
		return res, nil
	}))
	n.deploy("feed", route("web", "POST", "/feed"), route("torn", "POST", "/torn"))
	client, dials := http2(t)
	ask := func(path string) (*http.Response, *bufio.Reader) {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == 103 && h.Get("Link") == "</a.css>" {
				hints++
			}
			return nil
		}})
		body := io.MultiReader(strings.NewReader("in")) // of a length that is not known
		req, err := http.NewRequestWithContext(ctx, "POST", n.url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Te", "trailers")
		req.Trailer = http.Header{"X-Sum": {"42"}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(resp.Body)
		if line, err := br.ReadString('\n'); err != nil || line != "in 42 []\n" || resp.ProtoMajor != 2 || hints != 1 {
			t.Fatalf("line = %q, %v by %s with %d hints", line, err, resp.Proto, hints)
		}
		return resp, br
	}
	one, first := ask("/feed")
	defer one.Body.Close()
	two, second := ask("/torn") // while the first one is open
	defer two.Body.Close()
	if dials.Load() != 1 {
		t.Errorf("%d connections for two streams", dials.Load())
	}
	close(more)
	if rest, err := io.ReadAll(first); err != nil || len(rest) > 0 || one.Trailer.Get("Grpc-Status") != "0" || one.Trailer.Get("X-Late") != "1" {
		t.Errorf("rest = %q, %v, trailer %v", rest, err, one.Trailer)
	}
	if rest, err := io.ReadAll(second); err == nil {
		t.Errorf("a stream that broke off ended whole: %q", rest)
	}
}

func TestRefusalsByHTTP2(t *testing.T) {
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Version: 1}, nil
	}), func(o *Options) { o.Limits.Request = 8 })
	n.deploy("page", route("web", "POST", "/page"))
	client, _ := http2(t)
	used := map[string]bool{} // connections, by the client's address; net/http may dial one more that it does not need then
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { used[c.Conn.LocalAddr().String()] = true }})
	for _, c := range []struct {
		path, body string
		status     int
	}{{"/page", "123456789", 413}, {"/nothing", "", 404}, {"/_/fn/page", "", 401}, {"/page", "12345678", 200}} {
		req, err := http.NewRequestWithContext(ctx, "POST", n.url+c.path, io.MultiReader(strings.NewReader(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || resp.ProtoMajor != 2 {
			t.Errorf("POST %s of %d bytes = %s by %s, want %d", c.path, len(c.body), resp.Status, resp.Proto, c.status)
		}
	}
	if len(used) != 1 {
		t.Errorf("%d connections were used, want that a refusal costs its stream alone", len(used))
	}
}
