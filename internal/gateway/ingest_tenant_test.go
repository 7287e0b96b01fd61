package gateway

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
)

// A sender of one environment that mistypes a topic is told of its own topics alone; the node's token is told of all.
func TestASenderIsHintedTopicsOfItsEnvironmentAlone(t *testing.T) {
	n := start(t, script(shown))
	add := catalog.AddToken{Name: "till", Hash: sha256.Sum256([]byte("t-token")), Grant: access.Grant{Role: access.Sender, Environment: "acme"}}
	if _, err := n.catalog.Submit(t.Context(), add); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acm.orders", "acme.orders2", "acmf.orders"} {
		if err := n.log.CreateTopic(context.Background(), eventlog.Topic{Name: name, Partitions: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"?topic=acme.orders&type=x&source=/s", "?topic=acme.orders&type=x&source=/s&delay=1h"} {
		g := n.send("POST", "/_/events"+path, "{}", "Authorization", "Bearer t-token")
		if g.status != 404 || !strings.Contains(g.body, "acme.orders2") || strings.Contains(g.body, "acm.orders") || strings.Contains(g.body, "acmf.orders") {
			t.Errorf("%s = %d %s, want 404 that names acme.orders2 alone", path, g.status, g.body)
		}
		if all := n.send("POST", "/_/events"+path, "{}"); !strings.Contains(all.body, "acmf.orders") {
			t.Errorf("%s with the node's token = %s, want a hint at acmf.orders", path, all.body)
		}
	}
}
