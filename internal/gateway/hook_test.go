package gateway

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

// testHooks admits what has a header, and reads at most so many bytes of it.
type testHooks struct {
	most int64
	read [][]byte
	note string
}

func (h *testHooks) Admit(r *http.Request) (int64, error) {
	if r.Header.Get("Authorization") == "" {
		return 0, fault.New(fault.Unauthenticated, "the request carries no token")
	}
	return h.most, nil
}

func (h *testHooks) Take(_ *http.Request, body []byte) (string, error) {
	h.read = append(h.read, body)
	return h.note, nil
}

func TestBodiesOfHooksAreBounded(t *testing.T) {
	hooks := &testHooks{most: 4000}
	n := start(t, says("x"), func(o *Options) {
		o.Limits = Limits{Held: 10_000} // of which hooks have a quarter
		o.Hooks = hooks
	})
	for _, c := range []struct {
		size, status int
	}{{3000, http.StatusServiceUnavailable}, {5000, http.StatusServiceUnavailable}, {2000, http.StatusAccepted}, {2000, http.StatusAccepted}} {
		if got := n.send("POST", "/_/hooks/registry/harbor", strings.Repeat("x", c.size)); got.status != c.status {
			t.Errorf("a hook's body of %d bytes: %d, want %d", c.size, got.status, c.status)
		}
	}
	hooks.most = 1000
	if got := n.send("POST", "/_/hooks/registry/harbor", strings.Repeat("x", 1001)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a hook's body that is too large: %d, want 413", got.status)
	}
	if len(hooks.read) != 2 || len(hooks.read[1]) != 2000 {
		t.Errorf("the hook read %d bodies, want 2 of 2000 bytes", len(hooks.read))
	}
	hooks.note = "ping: nothing is to be done"
	if got := n.send("POST", "/_/hooks/registry/harbor", "x"); got.status != http.StatusOK || got.body != "ping: nothing is to be done\n" {
		t.Errorf("what is nothing to do: %d %q, want 200", got.status, got.body)
	}
}

// Who proves nothing gets his answer before anything of the body is read.
func TestBodiesOfStrangersAreNotRead(t *testing.T) {
	n := start(t, says("x"), func(o *Options) { o.Hooks = &testHooks{most: 4000} })
	body, w := io.Pipe()
	defer w.Close()
	r, err := http.NewRequest(http.MethodPost, n.url+"/_/hooks/github/shop", body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", res.StatusCode)
	}
}

// Two who know no secret could keep all hooks of a node closed, by announcing a body and sending a byte of it now and then.
func TestAStrangerWhoWaitsMakesRoom(t *testing.T) {
	n := start(t, says("x"), func(o *Options) {
		o.Limits = Limits{Held: 10_000} // of which hooks have a quarter
		o.Hooks = &testHooks{most: 4000}
	})
	answered := make(chan int, 1)
	body, w := io.Pipe()
	defer w.Close()
	r, err := http.NewRequest(http.MethodPost, n.url+"/_/hooks/github/shop", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 2000
	r.Header.Set("Authorization", "x")
	go func() {
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	for taken := int64(0); taken == 0; runtime.Gosched() {
		n.strangers.mu.Lock()
		taken = n.strangers.used
		n.strangers.mu.Unlock()
	}
	for range 3 {
		if got := n.send("POST", "/_/hooks/registry/harbor", strings.Repeat("x", 2000)); got.status != http.StatusAccepted {
			t.Errorf("a hook's body beside one that does not come: %d %s, want 202", got.status, got.body)
		}
	}
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("the body that did not come: %d, want 503", status)
	}
	if n.strangers.used != 0 || len(n.strangers.all) != 0 || n.held.used.Load() != 0 {
		t.Errorf("held: %d by %d, %d of all bodies; want nothing", n.strangers.used, len(n.strangers.all), n.held.used.Load())
	}
}
