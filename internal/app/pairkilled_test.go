package app_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// killed: what a node has accepted the other one ends; and, when the time is over that the function could have taken, a request that it was running
// under a key is run there.
func (s *serving) killed(t *testing.T) {
	one, two := s.nodes[0], s.nodes[1]
	before := len(s.ran(t, "report"))
	at := s.accepted(t, one, "Idempotency-Key", "accepted", "X-Callback", s.url)
	noted := map[string]bool{}
	for range 10 {
		status, h, body := one.ask("POST", "/note", "remember")
		if status != http.StatusOK || h.Get("Dalamb-Run") == "" {
			t.Fatalf("POST /note = %d %v %s", status, h, body)
		}
		noted[h.Get("Dalamb-Run")] = true
	}
	var ordered []string
	for i := range 4 { // they spread over the partitions, and so over the nodes
		status, h, body := one.ask("POST", fmt.Sprintf("/orders/killed-%d", i), "", "Prefer", "respond-async")
		if status != http.StatusAccepted || h.Get("Location") == "" {
			t.Fatalf("POST of order %d = %d %v %s, want 202", i, status, h, body)
		}
		ordered = append(ordered, h.Get("Location"))
	}
	paying := len(s.ran(t, "pay"))
	asked := time.Now()
	go one.ask("POST", "/pay", "{}", "Idempotency-Key", "killed") // nobody answers
	until(t, "the payment to be made", func() bool { return len(s.ran(t, "pay")) > paying })
	one.kill()
	for _, f := range two.facts(function.TopicRequests) {
		delete(noted, f.ID)
	}
	if len(noted) > 0 {
		t.Errorf("%d durable requests that were answered are not in the log", len(noted))
	}
	for i, order := range ordered { // whatever was confirmed before anybody waited for it here
		until(t, fmt.Sprintf("the other node to find what confirms order %d", i), func() bool {
			status, h, _ := two.ask("GET", order+"/answer?wait=5s", "")
			return status == http.StatusOK && h.Get("Ce-Type") == "order.confirmed"
		})
	}
	if status, h, body := two.ask("POST", "/report", "{}", "Idempotency-Key", "accepted"); status != http.StatusAccepted || h.Get("Location") != at {
		t.Errorf("what the killed node accepted is %d %v %s at the other, want 202 and %s", status, h, body, at)
	}
	until(t, "the report to be made, by whom is left", func() bool {
		s.openIf("report")
		return two.state(t, at).State == "succeeded"
	})
	until(t, "the callback", func() bool { return s.heard()[two.state(t, at).ID] > 0 })
	runs := map[string]bool{}
	for _, line := range s.ran(t, "report")[before:] {
		run, _, _ := strings.Cut(line, " ")
		runs[run] = true
	}
	if len(runs) != 1 {
		t.Errorf("the report was made in the runs %v, want one", runs)
	}
	if status, h, body := two.ask("POST", "/pay", "{}", "Idempotency-Key", "killed"); status != http.StatusConflict || h.Get("Retry-After") == "" {
		t.Errorf("a twin of what the killed node was running: %d %v %s, want 409 while nobody knows", status, h, body)
	}
	if os.Getenv("DALAMB_LONG") != "1" {
		return
	}
	for {
		if len(s.ran(t, "pay")) > paying+1 {
			s.openIf("pay")
		}
		status, _, body := two.ask("POST", "/pay", "{}", "Idempotency-Key", "killed")
		if status == http.StatusOK {
			break
		}
		if time.Since(asked) > 2*patience {
			t.Fatalf("after %s it is %d %s still", time.Since(asked), status, body)
		}
	}
	lines := s.ran(t, "pay")[paying:]
	if first, _, _ := strings.Cut(lines[0], " "); len(lines) != 2 || lines[0] != first+" 1" || lines[1] != first+" 2" {
		t.Errorf("the payment was run as %q, want two attempts of one run", lines)
	}
	t.Logf("the key of the killed node was another's after %s", time.Since(asked))
}

// startedAgain: of what was told before the node was killed nothing is told again, neither by it nor by the other one. What each makes now is told after that.
func (s *serving) startedAgain(t *testing.T) {
	for i := range 8 { // they spread over the partitions, and so over the nodes
		at := s.accepted(t, s.nodes[i%2], "X-Callback", s.url)
		id := s.nodes[1].state(t, at).ID
		until(t, "the callback of a report after the restart", func() bool {
			s.openIf("report")
			return s.heard()[id] > 0
		})
	}
	for id, n := range s.heard() {
		if n != 1 {
			t.Errorf("the end of run %s was told %d times", id, n)
		}
	}
}
