package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// wideTree is an API with an event whose run has emitted many, one of them again and again.
type wideTree struct{ emitted, again int }

func (l wideTree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := json.NewEncoder(w)
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/events/"):
		_ = say.Encode(wire.EventAt{Topic: "events", Event: json.RawMessage(`{"type":"t","id":"root"}`)})
	case r.URL.Path == "/v1/runs" && r.URL.Query().Get("event") == "root":
		run := function.Run{ID: "r", Function: "f"}
		for i := range l.emitted {
			run.Emitted = append(run.Emitted, function.Emitted{ID: fmt.Sprint("e", i), Type: "leaf"})
		}
		for range l.again {
			run.Emitted = append(run.Emitted, function.Emitted{ID: "e0", Type: "leaf"})
		}
		_ = say.Encode(wire.RunList{Runs: []function.Run{run}})
	default:
		_, _ = w.Write([]byte("{}"))
	}
}

func TestATreeOfCausesHasItsBound(t *testing.T) {
	for _, c := range []struct {
		tree wideTree
		want int
		cut  bool
	}{
		{wideTree{emitted: maxCauses - 1}, maxCauses - 1, false},
		{wideTree{emitted: maxCauses}, maxCauses - 1, true},
		{wideTree{emitted: 2000}, maxCauses - 1, true},
		{wideTree{emitted: 1, again: 2000}, maxCauses - 1, true},
	} {
		got := signedIn(t, c.tree).get("/events/events/0/0").Body.String()
		if n := strings.Count(got, ">leaf<"); n != c.want || strings.Contains(got, "There is more: the tree") != c.cut {
			t.Errorf("of %+v the tree has %d below its root, want %d, and whether there is more %v:\n%.3000s", c.tree, n, c.want, c.cut, got[strings.Index(got, "<main"):])
		}
	}
}
