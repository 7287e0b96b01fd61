package app_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
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
name: note
code: .
entry: {type: stdio, command: [/bin/sh, unique.sh]}
triggers:
  - {name: note, route: {method: POST, path: /note, durable: true}}
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
	url   string // where they are called back

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
	listener := httptest.NewServer(s)
	defer listener.Close()
	s.url = listener.URL
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
	t.Run("started again", s.startedAgain)
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

// openIf lets invocations of a gated function go on that wait.
func (s *serving) openIf(name string) {
	if gate, err := os.OpenFile(filepath.Join(s.dir, name+".gate"), os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		gate.Close()
	}
}
