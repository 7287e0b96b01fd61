package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
	"github.com/dalamb/dalamb/internal/wire"
)

// served are functions whose requests either node may be asked. A gated one writes that it runs, and waits for a reader of its gate.
const served = `
name: stock
code: .
entry: {type: stdio, command: [/bin/sh, unique.sh]}
triggers:
  - {name: stock, route: {method: GET, path: "/stock/{id}", cache: {ttl: 1h, purge: [{topic: events, filter: {type: [stock.changed]}, path: "/stock/{subject}"}]}}}
---
name: report
code: .
entry: {type: stdio, command: [/bin/sh, gated.sh]}
env: {RAN: DIR/report.ran, GATE: DIR/report.gate}
triggers:
  - {name: report, route: {method: POST, path: /report, async: true, idempotency: true, callback: {header: X-Callback, secret: callback-key}}}
---
name: pay
code: .
entry: {type: stdio, command: [/bin/sh, gated.sh]}
env: {RAN: DIR/pay.ran, GATE: DIR/pay.gate}
timeout: 5s
triggers:
  - {name: pay, route: {method: POST, path: /pay, idempotency: true, timeout: {connect: 1s, total: 1s}}}
---
name: buy
code: .
entry: {type: stdio, command: [/bin/sh, counted.sh]}
env: {RAN: DIR/buy.ran}
triggers:
  - {name: buy, route: {method: POST, path: /buy, idempotency: true}}
---
name: desk
code: .
entry: {type: stdio, command: [/bin/sh, desk.sh]}
triggers:
  - {name: desk, emit: {topic: events}, route: {method: POST, path: "/orders/{key}", await: {pattern: {type: [order.confirmed]}, timeout: 30s}}}
---
name: confirm
code: .
entry: {type: stdio, command: [/bin/sh, confirm.sh]}
triggers:
  - {name: confirm, topic: events, filter: {type: [order.requested]}}
`

// serving are two nodes on one Kafka.
type serving struct {
	nodes [2]*node
	dir   string // where functions write that they run, and wait at their gates

	mu   sync.Mutex
	told map[string]int // callbacks, by run
}

// ServeHTTP is called back.
func (s *serving) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[r.Header.Get("Dalamb-Callback")]++
}

func (s *serving) heard() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.told)
}

// TestEachOfTwoNodesAnswersForTheOther: what is begun at one node goes on at the other, where their clients find it.
func TestEachOfTwoNodesAnswersForTheOther(t *testing.T) {
	need.Linux(t)
	brokers := need.KafkaCluster(t, broker.Options{})
	s := &serving{dir: t.TempDir(), told: map[string]int{}}
	settings := []string{"eventlog=kafka://" + brokers.Bootstrap() + "?session-timeout=2s", "callbacks.allow=127.0.0.0/8", "drain=5s"}
	data := [2]string{t.TempDir(), t.TempDir()}
	s.nodes[0] = start(t, data[0], settings...)
	if _, err := s.nodes[0].client.SetSecret(t.Context(), "callback-key", []byte("of this test")); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(data[0], "secret.key")) // which either node needs
	if err == nil {
		err = os.WriteFile(filepath.Join(data[1], "secret.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.nodes[1] = start(t, data[1], settings...)
	for _, gate := range []string{"report.gate", "pay.gate"} {
		if err := syscall.Mkfifo(filepath.Join(s.dir, gate), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unique := "cat /proc/sys/kernel/random/uuid\n"
	event := func(rest string) string {
		return `echo '{"specversion":"1.0","id":"x","source":"/shop",` + rest + `}'` + "\n"
	}
	s.nodes[0].deploy(directory(t, map[string]string{
		"unique.sh":  unique,
		"gated.sh":   "echo $DALAMB_RUN $DALAMB_ATTEMPT >>$RAN\ncat $GATE\n" + unique,
		"counted.sh": "echo $DALAMB_RUN $DALAMB_ATTEMPT >>$RAN\n" + unique,
		"desk.sh":    event(`"type":"order.requested","partitionkey":"'"${PATH_INFO##*/}"'"`),
		"confirm.sh": event(`"type":"order.confirmed","data":{"by":'$PPID'}`),
	}), strings.ReplaceAll(served, "DIR", s.dir))
	for _, n := range s.nodes {
		until(t, "both nodes to have the routes", func() bool {
			status, _, _ := n.ask("POST", "/buy", "")
			return status == http.StatusOK
		})
	}
	t.Run("caches", s.caches)
	t.Run("late answers", s.lateAnswers)
	t.Run("cancelling", s.cancelling)
	t.Run("keys", s.keys)
	t.Run("awaited events", s.awaitedEvents)
	t.Run("services", s.services)
	t.Run("killed", s.killed)
	s.nodes[0] = start(t, data[0], settings...)
	for id, n := range s.heard() {
		if n != 1 {
			t.Errorf("the end of run %s was told %d times", id, n)
		}
	}
	for _, n := range s.nodes {
		n.stop()
	}
}

// ask sends a request and returns what came: status, header and body; status 0 = nothing.
func (n *node) ask(method, path, body string, header ...string) (int, http.Header, string) {
	n.t.Helper()
	r, err := http.NewRequest(method, n.gateway+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return resp.StatusCode, resp.Header, string(text)
}

// ran are the lines that a function has written, one for each invocation: run and attempt.
func (s *serving) ran(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name+".ran"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")[:strings.Count(string(text), "\n")]
}

func (s *serving) caches(t *testing.T) {
	get := func(n *node, path string) string {
		status, _, body := n.ask("GET", path, "")
		if status != http.StatusOK {
			t.Fatalf("GET %s = %d %s", path, status, body)
		}
		return body
	}
	kept := [2]string{}
	for i, n := range s.nodes {
		kept[i] = get(n, "/stock/tea")
		if again := get(n, "/stock/tea"); again != kept[i] {
			t.Errorf("node %d gives %q and %q: it keeps no answer", i, kept[i], again)
		}
	}
	gone := func(what string) {
		t.Helper()
		for i, n := range s.nodes {
			until(t, "node "+strconv.Itoa(i)+" to have no answer from before "+what, func() bool { return get(n, "/stock/tea") != kept[i] })
			kept[i] = get(n, "/stock/tea")
		}
	}
	if err := s.nodes[0].emit("stock.changed", "tea", "tea", "{}"); err != nil {
		t.Fatal(err)
	}
	gone("the event")
	if _, err := s.nodes[0].client.PurgeCache(t.Context(), "stock", wire.CachePurge{}); err != nil {
		t.Fatal(err)
	}
	gone("the command")
}

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
	listener := httptest.NewServer(s)
	defer listener.Close()
	for i := range 4 { // they spread over the partitions, and so over the nodes
		before := len(s.ran(t, "report"))
		at := s.accepted(t, one, "X-Callback", listener.URL)
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

// awaitedEvents: who asks at one node is answered by what a function has said at the other one.
func (s *serving) awaitedEvents(t *testing.T) {
	by := map[int]int{}
	for i := range 64 {
		status, h, body := s.nodes[0].ask("POST", fmt.Sprintf("/orders/o-%d", i), "")
		var e struct{ By int }
		if err := json.Unmarshal([]byte(body), &e); err != nil || status != http.StatusOK || h.Get("Ce-Type") != "order.confirmed" {
			t.Fatalf("order %d: %d %v %s, want that it is confirmed", i, status, h, body)
		}
		if by[e.By]++; i >= 8 && len(by) > 1 {
			break
		}
	}
	for _, n := range s.nodes {
		if by[n.cmd.Process.Pid] == 0 {
			t.Errorf("%v have confirmed, node %d among them never", by, n.cmd.Process.Pid)
		}
	}
}

func (s *serving) services(t *testing.T) {
	one, two := s.nodes[0], s.nodes[1]
	register := func(n *node, instance string) {
		t.Helper()
		r := function.Registration{Service: "search", Instance: instance, Address: "127.0.0.1:9000"}
		if _, err := n.client.RegisterInstance(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	// watch reads from a position on until there are so many instances, and returns the position then and how much was told.
	watch := func(n *node, since string, instances int) (at string, told int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for w, err := range n.client.Watch(ctx, "service", since) {
			if err != nil {
				t.Fatalf("watch since %q: %v", since, err)
			}
			if w.Reset {
				t.Errorf("watch since %q begins anew", since)
			}
			if told++; w.Position != "" {
				at = w.Position
			}
			if w.Service != nil && w.Name == "search" && len(w.Service.Instances) == instances && at != "" {
				return at, told
			}
		}
		t.Fatalf("watch since %q ended", since)
		return "", 0
	}
	register(one, "s-1")
	at, _ := watch(two, "", 1)
	register(two, "s-2")
	watch(one, at, 2)
	at, _ = watch(two, at, 2)
	register(one, "s-3")
	if _, told := watch(one, at, 3); told != 1 {
		t.Errorf("who comes back to the other node is told %d things, want the one that is new", told)
	}
	for i, n := range s.nodes {
		until(t, fmt.Sprintf("node %d to know all instances", i), func() bool {
			found, err := n.client.Service(t.Context(), "search", true)
			return err == nil && len(found.Instances) == 3
		})
	}
}

// killed: what a node has accepted the other one ends; and, when the time is over that the function could have taken, a request that it was running
// under a key is run there.
func (s *serving) killed(t *testing.T) {
	one, two := s.nodes[0], s.nodes[1]
	before := len(s.ran(t, "report"))
	at := s.accepted(t, one, "Idempotency-Key", "accepted")
	paying := len(s.ran(t, "pay"))
	asked := time.Now()
	go one.ask("POST", "/pay", "{}", "Idempotency-Key", "killed") // nobody answers
	until(t, "the payment to be made", func() bool { return len(s.ran(t, "pay")) > paying })
	one.kill()
	if status, h, body := two.ask("POST", "/report", "{}", "Idempotency-Key", "accepted"); status != http.StatusAccepted || h.Get("Location") != at {
		t.Errorf("what the killed node accepted is %d %v %s at the other, want 202 and %s", status, h, body, at)
	}
	until(t, "the report to be made, by whom is left", func() bool {
		s.openIf("report")
		return two.state(t, at).State == "succeeded"
	})
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

// openIf lets invocations of a gated function go on that wait.
func (s *serving) openIf(name string) {
	if gate, err := os.OpenFile(filepath.Join(s.dir, name+".gate"), os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		gate.Close()
	}
}
