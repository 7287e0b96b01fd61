package pull

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

// nothing is an own registry in which nothing is.
type nothing struct{ hosts []string }

func (n nothing) Hosts() []string { return n.hosts }

func (nothing) Resolve(repository, reference string) (string, error) {
	if strings.HasPrefix(reference, "sha256:") {
		return "", fault.New(fault.NotFound, "repository %s has no manifest %s", repository, reference)
	}
	return "", fault.Missing("repository", repository, []string{"shop/pay"})
}

func TestWhatIsSaidOfTheOwnRegistry(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	elsewhere := strings.TrimPrefix(closed.URL, "http://")
	p, _ := newPuller(t, Options{Own: nothing{[]string{OwnHost, "localhost:8081"}}})
	for ref, want := range map[string]struct{ says, hint string }{
		"localhost:8081/shop/pai:1":                                      {"there is no image localhost:8081/shop/pai:1 in this node's registry: there is no repository", "did you mean shop/pay?; push it first"},
		OwnHost + "/shop/pay@sha256:" + strings.Repeat("0", 64):          {"has no manifest sha256:0000", "push it first; docs/registry.md"},
		elsewhere + "/shop/pay:1":                                        {"registry " + elsewhere + " cannot be reached", "This node's own is dalamb.internal, whatever port"},
		strings.Replace(elsewhere, "127.0.0.1", "localhost", 1) + "/a:1": {"cannot be reached", "This node's own is dalamb.internal"},
	} {
		_, err := p.Resolve(t.Context(), ref)
		if err == nil || !strings.Contains(err.Error(), want.says) || !strings.Contains(fault.HintOf(err), want.hint) {
			t.Errorf("Resolve(%s) = %v (%s), want %q and %q", ref, err, fault.HintOf(err), want.says, want.hint)
		}
	}
}
