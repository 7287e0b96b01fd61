package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// keys: of the same request at both nodes at once one is run, and both are given its answer.
func (s *serving) keys(t *testing.T) {
	type answer struct {
		status   int
		replayed bool
		body     string
	}
	both := func(path, key string) (got [2]answer) {
		var asking sync.WaitGroup
		for i, n := range s.nodes {
			asking.Go(func() {
				status, h, body := n.ask("POST", path, "{}", "Idempotency-Key", key)
				got[i] = answer{status, h.Get("Idempotent-Replayed") == "true", body}
			})
		}
		asking.Wait()
		return got
	}
	before := len(s.ran(t, "buy"))
	const many = 20
	for i := range many {
		key := fmt.Sprintf("buy-%d", i)
		got := both("/buy", key)
		if got[0].status != http.StatusOK || got[1].status != http.StatusOK || got[0].body != got[1].body || got[0].replayed == got[1].replayed {
			t.Errorf("key %s: %+v, want the same answer from both, one of them again", key, got)
		}
		for j, n := range s.nodes {
			if status, _, body := n.ask("POST", "/buy", "{}", "Idempotency-Key", key); status != http.StatusOK || body != got[0].body {
				t.Errorf("key %s again at node %d: %d %q, want %q", key, j, status, body, got[0].body)
			}
			if status, _, body := n.ask("POST", "/buy", "another body", "Idempotency-Key", key); status != http.StatusUnprocessableEntity {
				t.Errorf("key %s with another body at node %d: %d %q, want 422", key, j, status, body)
			}
		}
	}
	if ran := len(s.ran(t, "buy")) - before; ran != many {
		t.Errorf("%d keys were run %d times", many, ran)
	}
	before = len(s.ran(t, "report"))
	got := both("/report", "later")
	if got[0].status != http.StatusAccepted || got[0].body != got[1].body {
		t.Errorf("a request that is answered later: %+v, want one run", got)
	}
	var st state
	if err := json.Unmarshal([]byte(got[0].body), &st); err != nil {
		t.Fatal(err)
	}
	until(t, "its end", func() bool {
		s.openIf("report")
		return s.nodes[1].state(t, "/_/runs/"+st.ID).State == "succeeded"
	})
	if ran := len(s.ran(t, "report")) - before; ran != 1 {
		t.Errorf("a request that is answered later was run %d times", ran)
	}
}
