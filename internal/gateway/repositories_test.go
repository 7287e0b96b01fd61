package gateway

import (
	"strings"
	"testing"
)

// Who pushes to the wrong port is told by git, which shows text alone. A route has its requests all the same.
func TestRepositoriesAreNotAtTheGateway(t *testing.T) {
	n := start(t, tells())
	n.deploy("pay", route("web", "", "/git/pay/"))
	g := n.send("GET", "/git/shop/info/refs?service=git-receive-pack", "", "Authorization", "")
	if g.status != 404 || !strings.HasPrefix(g.header.Get("Content-Type"), "text/plain") || !strings.Contains(g.body, "hint: they are below /git/ on the control listener") {
		t.Errorf("git is answered %d %q, want where repositories are", g.status, g.body)
	}
	if g := n.send("GET", "/git/shop", ""); g.status != 404 || g.fault(t).Kind != "not found" {
		t.Errorf("another request is answered %d %q, want 404 as everywhere", g.status, g.body)
	}
	if g := n.send("GET", "/git/pay/info/refs?service=git-receive-pack", ""); g.status != 200 {
		t.Errorf("a route's request is answered %d %q, want the function's", g.status, g.body)
	}
}
