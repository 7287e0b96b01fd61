package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestAStopDoesNotOutlastServersThatHang although the client has left, and a function's time-out is long.
func TestAStopDoesNotOutlastServersThatHang(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer s.Close()
	defer close(over)
	n := start(t, t.TempDir(), "drain=1s")
	n.deploy(directory(t, map[string]string{"f.sh": ""}), fmt.Sprintf(`
name: shop
code: .
entry: {type: stdio, command: [/bin/sh, f.sh]}
timeout: 2h
triggers:
  - {name: left, route: {path: /left, timeout: {total: 100ms}, upstream: {static: ["%s"]}}}
`, s.URL))
	resp, err := http.Get(n.gateway + "/left")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusGatewayTimeout {
		t.Fatalf("the answer of a server that hangs = %s, want 504", resp.Status)
	}
	began := time.Now()
	n.stop()
	if took := time.Since(began); took < time.Second {
		t.Errorf("the stop took %s; want that the server had the drain time", took)
	}
}
