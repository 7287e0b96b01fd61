package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// state is how a run stands, as a node tells it.
type state struct{ ID, State, Result string }

func (n *node) state(t *testing.T, at string) (st state) {
	t.Helper()
	status, _, body := n.ask("GET", at, "")
	if err := json.Unmarshal([]byte(body), &st); err != nil || status != http.StatusOK {
		t.Fatalf("GET %s = %d %s, %v", at, status, body, err)
	}
	return st
}

// accepted sends a report and returns the address of its run.
func (s *serving) accepted(t *testing.T, n *node, header ...string) (at string) {
	t.Helper()
	status, h, body := n.ask("POST", "/report", "{}", header...)
	if at = h.Get("Location"); status != http.StatusAccepted || at == "" {
		t.Fatalf("POST /report = %d %v %s, want 202", status, h, body)
	}
	return at
}

func (s *serving) lateAnswers(t *testing.T) {
	one, two := s.nodes[0], s.nodes[1]
	for i := range 4 { // they spread over the partitions, and so over the nodes
		before := len(s.ran(t, "report"))
		at := s.accepted(t, one, "X-Callback", s.url)
		until(t, "the report to be made", func() bool { return len(s.ran(t, "report")) > before })
		if st := two.state(t, at); st.State != "accepted" {
			t.Errorf("at the other node report %d is %+v, want accepted", i, st)
		}
		came := make(chan string, 1)
		go func() {
			_, _, body := two.ask("GET", at+"?wait=30s", "")
			came <- body
		}()
		var body string
		until(t, "its end", func() bool {
			s.openIf("report")
			select {
			case body = <-came:
				return true
			default:
				return false
			}
		})
		var st state
		if json.Unmarshal([]byte(body), &st) != nil || st.State != "succeeded" || st.Result == "" {
			t.Fatalf("who waits at the other node is told %s", body)
		}
		for j, n := range s.nodes {
			if status, _, body := n.ask("GET", at+"/answer?wait=30s", ""); status != http.StatusOK || body != st.Result {
				t.Errorf("node %d answers %d %q, want %q", j, status, body, st.Result)
			}
		}
		until(t, "the callback", func() bool { return s.heard()[st.ID] > 0 })
	}
}

func (s *serving) cancelling(t *testing.T) {
	one, two := s.nodes[0], s.nodes[1]
	for i := range 4 {
		before := len(s.ran(t, "report"))
		at := s.accepted(t, one)
		until(t, "the report to be made", func() bool { return len(s.ran(t, "report")) > before })
		if status, _, body := two.ask("DELETE", at, ""); status != http.StatusOK && status != http.StatusAccepted {
			t.Fatalf("DELETE of report %d at the other node = %d %s", i, status, body)
		}
		for j, n := range s.nodes {
			until(t, fmt.Sprintf("node %d to know that it is cancelled", j), func() bool { return n.state(t, at).State == "cancelled" })
		}
	}
}
