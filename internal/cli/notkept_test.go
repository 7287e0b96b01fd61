package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/bisect"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// A node whose disk is nearly full keeps no lines: who asks for lines, or how the node does, is told.
func TestLinesThatAreNotKeptAreTold(t *testing.T) {
	for space, want := range map[string]bool{"ok": false, "low": true, "empty": true} {
		node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/v1/node":
				_ = json.NewEncoder(w).Encode(wire.Node{Space: space})
			case "/v1/health":
				_ = json.NewEncoder(w).Encode(wire.NodeHealth{Health: wire.Health{Grade: "healthy"}})
			}
		}))
		env := &environment{get: func(name string) string {
			return map[string]string{"DALAMB_CONTROL": node.URL, "DALAMB_TOKEN": "t"}[name]
		}}
		for _, c := range []*cobra.Command{logsCommand(env), healthCommand(env)} {
			var out, said bytes.Buffer
			c.SetArgs(map[string][]string{"logs": {"hello"}, "health": {}}[c.Name()])
			c.SetOut(&out)
			c.SetErr(&said)
			if err := c.ExecuteContext(t.Context()); err != nil {
				t.Fatalf("%s: %v", c.Name(), err)
			}
			if got := strings.Contains(said.String(), "are not kept"); got != want {
				t.Errorf("space %s: dalamb %s says %q, want the warning: %v", space, c.Name(), said.String(), want)
			}
		}
		node.Close()
	}
}

func TestBisectNamesWhoDeployedAsVersionsDoes(t *testing.T) {
	who := &function.Identity{Type: "api_key", ID: "node"}
	var out bytes.Buffer
	printFound(&out, &bisect.Found{Function: "pay", Bad: function.Version{By: who}})
	if !strings.Contains(out.String(), "\nby        "+who.String()+"\n") {
		t.Errorf("it says\n%s\nwant by %s", out.String(), who)
	}
}
