package bisect

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// fake is a node with versions 1 and 2 of a function.
type fake struct {
	start, look func(w http.ResponseWriter, name string) // nil = the replay is done at once

	mu        sync.Mutex
	cancelled []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	switch {
	case path[0] == "functions":
		answer(w, wire.Function{Versions: []function.Version{{Number: 1}, {Number: 2}}})
	case len(path) == 1:
		var ask wire.ReplayRequest
		if json.NewDecoder(r.Body).Decode(&ask) != nil {
			http.Error(w, "", http.StatusBadRequest)
		} else if f.start != nil {
			f.start(w, ask.Name)
		} else {
			answer(w, wire.Replay{Replay: function.Replay{Name: ask.Name}})
		}
	case path[len(path)-1] == "cancel":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.cancelled = append(f.cancelled, path[1])
		answer(w, wire.Replay{Replay: function.Replay{Name: path[1]}})
	case path[len(path)-1] == "runs":
		answer(w, wire.ReplayedRuns{Runs: []function.ReplayedRun{{}}})
	default:
		f.look(w, path[1])
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (f *fake) bisect(t *testing.T, ctx context.Context) error {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	node, err := client.New(client.Options{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(ctx, Options{Node: node, Function: "pay", Good: 1, Bad: 2, Name: "b", Events: []Event{{Trigger: "on-order"}}, Glance: time.Millisecond,
		Check: func(context.Context, *Outcome) (Verdict, error) { return Good, nil }})
	return err
}

func TestABadEndThatDoesNotRunSaysWhy(t *testing.T) {
	f := &fake{start: func(w http.ResponseWriter, name string) {
		if name == "b-2-0" {
			http.Error(w, `{"error":{"kind":"not_found","message":"its code is gone"}}`, http.StatusNotFound)
			return
		}
		answer(w, wire.Replay{Replay: function.Replay{Name: name}})
	}}
	err := f.bisect(t, t.Context())
	if err == nil || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "gone") || strings.Contains(fault.HintOf(err), "same on both") {
		t.Errorf("%v, hint %q; want why, and no talk of what is the same", err, fault.HintOf(err))
	}
}

func TestNoReplayIsLeftRunning(t *testing.T) {
	for name, gone := range map[string]func(w http.ResponseWriter, stop func()){
		"a look that fails":          func(w http.ResponseWriter, _ func()) { http.Error(w, "", http.StatusInternalServerError) },
		"interrupted while it looks": func(_ http.ResponseWriter, stop func()) { stop() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			running := func(w http.ResponseWriter, name string) {
				answer(w, wire.Replay{Replay: function.Replay{Name: name}, State: wire.ReplayRunning})
			}
			f := &fake{start: running, look: func(w http.ResponseWriter, _ string) { gone(w, stop) }}
			if err := f.bisect(t, ctx); err == nil {
				t.Error("no error")
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if !slices.Equal(f.cancelled, []string{"b-1-0"}) {
				t.Errorf("cancelled: %v, want the replay", f.cancelled)
			}
		})
	}
}
