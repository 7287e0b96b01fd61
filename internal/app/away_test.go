package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
)

// await waits until a node that waits for its log can be found.
func (n *node) await() *client.Client {
	n.t.Helper()
	var info app.NodeInfo
	until(n.t, "the node to say that it waits", func() bool {
		text, err := os.ReadFile(filepath.Join(n.data, app.NodeFile))
		return err == nil && json.Unmarshal(text, &info) == nil && info.Waiting
	})
	token, err := os.ReadFile(filepath.Join(n.data, app.TokenFile))
	if err != nil {
		n.t.Fatal(err)
	}
	n.gateway, n.token = info.Gateway, strings.TrimSpace(string(token))
	c, err := client.New(client.Options{Address: info.Control, Token: n.token, HTTP: &http.Client{Timeout: patience}})
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// get returns status, Retry-After and body.
func get(t *testing.T, url string) (status int, retry, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), string(text)
}

func TestANodeWithoutItsLogSaysSo(t *testing.T) {
	n := launch(t, self(t), t.TempDir(), nil, "eventlog=kafka://127.0.0.1:1")
	c := n.await()
	_, err := c.Functions(t.Context())
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "waits for its log") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("a command is answered %v, want that the node waits for 127.0.0.1:1", err)
	}
	if fault.HintOf(err) == "" {
		t.Error("the answer has no hint")
	}
	stranger, err := client.New(client.Options{Address: controlOf(t, n), Token: "not-the-token-of-this-node"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Functions(t.Context()); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("a stranger is answered %v, want that he is not known", err)
	}
	for _, url := range []string{n.gateway + "/_/health", controlOf(t, n) + "/_/health", n.gateway + "/shop"} {
		status, retry, body := get(t, url)
		if status != http.StatusServiceUnavailable || retry == "" || strings.Contains(body, "127.0.0.1:1") {
			t.Errorf("GET %s = %d, Retry-After %q, %s; want 503, when to come again, and no address", url, status, retry, body)
		}
		if strings.HasSuffix(url, "/_/health") && !strings.Contains(body, `"log":"it cannot be reached"`) {
			t.Errorf("GET %s = %s, want the reason", url, body)
		}
	}
	n.stop()
	if _, err := os.Stat(filepath.Join(n.data, app.NodeFile)); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", app.NodeFile, err)
	}
}

func controlOf(t *testing.T, n *node) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.data, app.NodeFile))
	if err != nil {
		t.Fatal(err)
	}
	var info app.NodeInfo
	if err := json.Unmarshal(text, &info); err != nil {
		t.Fatal(err)
	}
	return info.Control
}

// TestKafkaGoesAndComesBack starts a node before its broker, takes the broker away while events come, and counts at the end:
// what was acknowledged has exactly one output.
func TestKafkaGoesAndComesBack(t *testing.T) {
	c := need.KafkaCluster(t, broker.Options{})
	if err := c.Kill(1); err != nil {
		t.Fatal(err)
	}
	n := launch(t, self(t), t.TempDir(), nil, "eventlog=kafka://"+c.Bootstrap()+"?session-timeout=3s")
	n.await()
	if err := c.Restart(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	n.ready()
	code := directory(t, map[string]string{"echo.sh": "cat >/dev/null\necho '{\"specversion\":\"1.0\",\"type\":\"pong\",\"source\":\"/x\",\"id\":\"1\"}'\n"})
	n.deploy(code, "name: echo\ncode: .\nentry: {type: stdio, command: [/bin/sh, echo.sh]}\ntriggers:\n  - topic: events\n    filter: {type: [ping]}\n")

	ctx, enough := context.WithCancel(t.Context())
	var mu sync.Mutex
	acknowledged, refusedCount := map[string]bool{}, 0
	var senders sync.WaitGroup
	for s := range 3 {
		senders.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("e-%d-%d", s, i)
				err := n.emit("ping", id, fmt.Sprintf("k-%d", i%7), `{}`)
				mu.Lock()
				switch {
				case err == nil:
					acknowledged[id] = true
				case statusOf(err) == http.StatusServiceUnavailable:
					refusedCount++
				default:
					t.Errorf("emit %s = %v, want 202 or 503", id, err)
				}
				mu.Unlock()
			}
		})
	}
	count := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged), refusedCount
	}
	until(t, "events", func() bool { ok, _ := count(); return ok > 50 })
	if err := c.Kill(1); err != nil {
		t.Fatal(err)
	}
	until(t, "ingest to be refused", func() bool { _, no := count(); return no > 2 })
	if status, _, body := get(t, n.gateway+"/_/health"); status != http.StatusServiceUnavailable || !strings.Contains(body, "it cannot be reached") {
		t.Errorf("health without Kafka = %d %s, want 503 and the reason", status, body)
	}
	if _, err := n.client.Topics(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("topics without Kafka = %v, want unavailable", err)
	}
	before, _ := count()
	if err := c.Restart(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	until(t, "events to be taken again", func() bool { ok, _ := count(); return ok > before+50 })
	enough()
	senders.Wait()

	outputs := map[string]int{}
	until(t, "an output for every event", func() bool {
		clear(outputs)
		inputs := map[string]string{}
		facts := n.facts(function.TopicEvents)
		for _, f := range facts {
			if f.Type == "ping" {
				inputs[f.ID] = f.Subject
			}
		}
		for id := range acknowledged {
			if _, there := inputs[id]; !there {
				t.Fatalf("%s was acknowledged and is not in the log", id)
			}
		}
		for _, run := range n.runs(client.RunQuery{Function: "echo"}) {
			if run.State == function.RunSucceeded {
				outputs[run.Event.ID]++
			}
		}
		return len(outputs) == len(inputs)
	})
	pongs := 0
	for _, f := range n.facts(function.TopicEvents) {
		if f.Type == "pong" {
			pongs++
		}
	}
	if pongs != len(outputs) {
		t.Errorf("%d events have %d outputs", len(outputs), pongs)
	}
	ok, no := count()
	t.Logf("%d events acknowledged, %d refused while Kafka was away, %d outputs", ok, no, pongs)
	n.stop()
}
