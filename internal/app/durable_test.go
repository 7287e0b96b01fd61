package app_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// TestADurableRequestOutlivesItsNode: of what was answered on a durable route each request and its answer is in the log, also where the node is killed
// among them. On Kafka TestEachOfTwoNodesAnswersForTheOther says the same.
func TestADurableRequestOutlivesItsNode(t *testing.T) {
	need.Linux(t)
	data := t.TempDir()
	n := start(t, data)
	n.deploy(directory(t, map[string]string{"note.sh": "cat\n"}), `
name: note
code: .
entry: {type: stdio, command: [/bin/sh, note.sh]}
triggers:
  - {name: note, route: {method: POST, path: /note, durable: true}}
`)
	const enough = 20 // before it is killed
	var mu sync.Mutex
	answered := map[string]bool{}
	var writing sync.WaitGroup
	for range 4 {
		writing.Go(func() {
			for {
				status, h, _ := n.ask("POST", "/note", "remember")
				if status != http.StatusOK {
					return // it is gone
				}
				mu.Lock()
				answered[h.Get("Dalamb-Run")] = true
				mu.Unlock()
			}
		})
	}
	until(t, "answers", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(answered) >= enough
	})
	n.kill()
	writing.Wait()
	again := start(t, data)
	for _, f := range again.facts(function.TopicRequests) {
		delete(answered, f.ID)
	}
	if len(answered) > 0 {
		t.Errorf("%d requests that were answered are not in the log", len(answered))
	}
	again.stop()
}
