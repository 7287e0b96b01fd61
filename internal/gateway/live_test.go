package gateway

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/forwarded"
)

func TestAGatewayThatServesIsToldAnew(t *testing.T) {
	n := start(t, script(located))
	n.deploy("f", route("r", "", "/x"))
	header := []string{"X-Forwarded-For", "198.51.100.7:99", "X-Session", "s3cret"}
	batch := "[" + strings.Repeat(order("1")+",", 9) + order("2") + "]"
	for i, c := range []struct {
		change  func()
		origin  string
		session string // in the record
		status  int    // of the batch
	}{
		{func() {}, "127.0.0.1:", "s3cret", 202},
		{func() {
			n.Change(Live{Batch: 100, Redact: []string{"x-session"}, Proxies: forwarded.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
		}, "198.51.100.7:99 ", "[redacted]", 413},
		{func() { n.Change(Live{}) }, "127.0.0.1:", "s3cret", 202},
	} {
		c.change()
		if g := n.send("GET", "/x", "", header...); !strings.HasPrefix(g.body, c.origin) {
			t.Errorf("change %d: the function was told %q, want %q", i, g.body, c.origin)
		}
		if got := n.requests(i + 1)[i].Header["X-Session"]; len(got) != 1 || got[0] != c.session {
			t.Errorf("change %d: the record has %q, want %q", i, got, c.session)
		}
		if g := n.send("POST", "/_/events", batch, "Content-Type", batched); g.status != c.status {
			t.Errorf("change %d: a batch of %d bytes got %d, want %d", i, len(batch), g.status, c.status)
		}
	}
}
