package aws

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestOneKeysBodiesLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newRoom()
		full, err := m.take(t.Context(), "a", maxHeldKey)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := m.take(t.Context(), "a", 1); fault.KindOf(err) != fault.Unavailable || time.Since(began) != maxWait {
			t.Errorf("beyond the key's share: %v after %v, want that there is no room after %v", err, time.Since(began), maxWait)
		}
		other, err := m.take(t.Context(), "b", maxHeldKey)
		if err != nil {
			t.Fatalf("for another key: %v", err)
		}
		began = time.Now()
		if _, err := m.take(t.Context(), "c", 1); fault.KindOf(err) != fault.Unavailable || time.Since(began) != maxWait {
			t.Errorf("beyond all room: %v after %v, want that there is none after %v", err, time.Since(began), maxWait)
		}
		full()
		again, err := m.take(t.Context(), "a", maxHeldKey)
		if err != nil {
			t.Fatalf("after it was given back: %v", err)
		}
		again()
		other()
		if len(m.shares) != 0 {
			t.Errorf("%d keys are kept that hold nothing", len(m.shares))
		}
	})
}

func TestABodyThatDoesNotComeIsGivenUp(t *testing.T) {
	got := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := readBody(w, r, bodyBounds{most: 100, within: 10 * time.Millisecond})
		got <- err
	}))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome"); err != nil {
		t.Fatal(err)
	}
	if err := <-got; fault.KindOf(err) != fault.Timeout {
		t.Errorf("readBody = %v, want that it took too long", err)
	}
}
