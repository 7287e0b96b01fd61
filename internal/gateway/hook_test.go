package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestBodiesOfHooksAreBounded(t *testing.T) {
	var read string
	n := start(t, says("x"), func(o *Options) {
		o.Limits = Limits{Request: 4000, Held: 2500}
		o.Hooks = func(_ http.ResponseWriter, r *http.Request) error {
			b, err := io.ReadAll(r.Body)
			read = string(b)
			return err
		}
	})
	for _, c := range []struct {
		size, status int
	}{{3000, http.StatusServiceUnavailable}, {5000, http.StatusRequestEntityTooLarge}, {2000, http.StatusAccepted}, {2000, http.StatusAccepted}} {
		if got := n.send("POST", "/_/hooks/registry/harbor", strings.Repeat("x", c.size)); got.status != c.status {
			t.Errorf("a hook's body of %d bytes: %d, want %d", c.size, got.status, c.status)
		}
	}
	if len(read) != 2000 {
		t.Errorf("the hook read %d bytes, want 2000", len(read))
	}
}
