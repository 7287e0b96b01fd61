package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// BenchmarkCall measures a call through the gateway, with a fleet that asks an HTTP server, against the same server called
// directly and through a proxy that does nothing else, in turns. The ratios are quotients of the medians: to the direct call, and to the
// bare proxy, which is what a second hop costs at the least.
func BenchmarkCall(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	own := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(body)
	})}
	go func() { _ = own.Serve(l) }()
	defer own.Close()
	direct := "http://" + l.Addr().String() + "/"
	inner := &http.Transport{MaxIdleConnsPerHost: 64}
	defer inner.CloseIdleConnections()
	pass := func(ctx context.Context, in *http.Request) (*http.Response, []byte, error) {
		out := in.Clone(context.WithoutCancel(ctx))
		out.URL.Scheme, out.URL.Host, out.RequestURI = "http", l.Addr().String(), ""
		resp, err := inner.RoundTrip(out)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, body, err
	}
	n := start(b, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		resp, body, err := pass(ctx, c.Invocation.Request)
		if err != nil {
			return nil, err
		}
		return &function.Result{Outcome: function.Succeeded, Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
	}))
	n.deploy("f", route("web", "POST", "/f"))
	pl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, body, err := pass(r.Context(), r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		_, _ = w.Write(body)
	})}
	go func() { _ = proxy.Serve(pl) }()
	defer proxy.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	body := strings.Repeat("x", 512)
	once := func(url string) time.Duration {
		t := time.Now()
		resp, err := client.Post(url, "text/plain", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			b.Fatalf("status %d", resp.StatusCode)
		}
		return time.Since(t)
	}
	var there, bare, here []time.Duration
	for b.Loop() {
		there = append(there, once(direct))
		bare = append(bare, once("http://"+pl.Addr().String()+"/"))
		here = append(here, once(n.url+"/f"))
	}
	mid := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2].Microseconds())
	}
	b.ReportMetric(mid(there), "direct-p50-us")
	b.ReportMetric(mid(here), "gateway-p50-us")
	b.ReportMetric(mid(here)/max(mid(there), 1), "ratio-direct")
	b.ReportMetric(mid(here)/max(mid(bare), 1), "ratio-proxy")
}

// BenchmarkHandler is what the gateway itself costs: no network, a fleet that answers at once. The yardstick is a bare
// handler that reads the body and writes the answer.
func BenchmarkHandler(b *testing.B) {
	body := strings.Repeat("x", 512)
	serve := func(b *testing.B, h http.Handler) {
		b.ReportAllocs()
		for b.Loop() {
			r, err := http.NewRequest("POST", "http://gateway/f", strings.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Content-Type", "text/plain")
			w := record200{header: http.Header{}}
			h.ServeHTTP(&w, r)
		}
	}
	b.Run("bare", func(b *testing.B) {
		serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			_, _ = w.Write([]byte("ok"))
		}))
	})
	b.Run("gateway", func(b *testing.B) {
		n := start(b, says("ok"))
		n.deploy("f", route("web", "POST", "/f"))
		serve(b, n)
	})
}
