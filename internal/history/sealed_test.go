package history

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

func TestADeadLetterOfASealedTopicHasItsDataInTheLogAlone(t *testing.T) {
	w := newWorld(t)
	letter := func(seal string) eventlog.Record {
		text := `{"specversion":"1.0","id":"e","source":"/s","type":"t","partitionkey":"k","data":{"name":"Ada Canary"}}`
		r := record(t, function.TopicDead, event.TypeDeadLetterCreated, "r1", function.DeadLetter{
			Run: function.Run{ID: "r1", Function: "f", Trigger: "t", State: function.RunDead}, Event: json.RawMessage(text),
		})
		if seal != "" {
			r.Headers = append(r.Headers, eventlog.Header{Name: event.HeaderSeal, Value: []byte(seal)})
		}
		return r
	}
	for range 2 { // told twice
		w.append(letter("by"))
	}
	w.catchUp()
	d, err := w.DeadLetter("r1")
	if err != nil || strings.Contains(string(d.Event), "Canary") || !strings.Contains(string(d.Event), `"id":"e"`) {
		t.Errorf("DeadLetter = %s, %v; want the event without its data", d.Event, err)
	}
	if d, err = w.WholeDeadLetter(t.Context(), "r1"); err != nil || !strings.Contains(string(d.Event), "Canary") {
		t.Errorf("WholeDeadLetter = %s, %v; want the event with its data", d.Event, err)
	}
	w.restart()
	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of the index = %v, %v", files, err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err != nil || bytes.Contains(text, []byte("Canary")) {
			t.Errorf("%s holds the data, or cannot be read: %v", f, err)
		}
	}
	gone := letter("by")
	gone.Value = []byte{}
	w.append(gone)
	w.catchUp()
	if d, err := w.DeadLetter("r1"); err == nil {
		t.Errorf("DeadLetter of what was forgotten = %+v, want none", d)
	}
}
