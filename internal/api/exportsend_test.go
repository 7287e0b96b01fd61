package api

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestWhoTakesNothingOfABundleIsNotWaitedFor(t *testing.T) {
	ended := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := &begun{w: w, c: http.NewResponseController(w), stall: 50 * time.Millisecond}
		defer b.end()
		_, err := b.Write(make([]byte, 64<<20)) // more than lies on the way
		ended <- err
	}))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	ok(t, err)
	defer c.Close()
	_, err = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	ok(t, err)
	if err := <-ended; err == nil {
		t.Error("all of it was sent to nobody")
	}

	answer, err := http.Get(s.URL)
	ok(t, err)
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); n != 64<<20 || err != nil {
		t.Errorf("who takes it got %d bytes, %v", n, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
