package api

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoTakesNothingOfABundleIsNotWaitedFor(t *testing.T) {
	ended := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stall := 50 * time.Millisecond
		if r.URL.Path == "/taken" {
			stall = time.Minute // on a busy machine somebody who reads may have no turn for a while
		}
		b := &begun{w: w, c: http.NewResponseController(w), stall: stall}
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

	answer, err := http.Get(s.URL + "/taken")
	ok(t, err)
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); n != 64<<20 || err != nil {
		t.Errorf("who takes it got %d bytes, %v", n, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// slow is a connection that takes so long for what is sent at once, and tells so when it is late.
type slow struct {
	http.ResponseWriter
	takes time.Duration
	until time.Time
}

func (s *slow) SetWriteDeadline(t time.Time) error { s.until = t; return nil }

func (s *slow) Write(p []byte) (int, error) {
	if left := time.Until(s.until); left < s.takes {
		<-time.After(left)
		return 0, os.ErrDeadlineExceeded
	}
	<-time.After(s.takes)
	return len(p), nil
}

func TestWhoTakesABundleSlowlyHoldsItsPlaceForMinutesAtMost(t *testing.T) {
	for _, c := range []struct {
		takes time.Duration // a piece
		whole bool
	}{
		{200 * time.Millisecond, true}, {50 * time.Second, false}, {time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &slow{ResponseWriter: httptest.NewRecorder(), takes: c.takes}
			b := &begun{w: w, c: http.NewResponseController(w), stall: exportStall}
			began := time.Now()
			n, err := b.Write(make([]byte, 96<<20))
			if took := time.Since(began); (err == nil) != c.whole || took > 6*time.Minute {
				t.Errorf("who takes %s for a piece got %d bytes in %s, %v", c.takes, n, took, err)
			}
		})
	}
}
