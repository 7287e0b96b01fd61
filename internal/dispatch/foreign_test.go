package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// foreignValue is what a test looks at in the data of a record that is no CloudEvent.
type foreignValue struct {
	Offset int64
	Key64  string
	Value  struct{ Kind string }
}

// TestForeignRecordsRunInTheOrderOfTheirKeys puts what other software writes in a topic: keys of bytes, values of all sorts.
func TestForeignRecordsRunInTheOrderOfTheirKeys(t *testing.T) {
	w := newWorld(t, setting{})
	defer w.close()
	w.deploy("all", function.Trigger{Name: "t", Emit: &function.Emit{Topic: "out"}})
	w.deploy("some", function.Trigger{Name: "t", Filter: []byte(`{"type":["dalamb.record.v1"],"data":{"value":{"kind":["bad"]}}}`), Retry: function.Retry{Attempts: 1}})
	var mu sync.Mutex
	seen := map[string][]int64{} // key of the record -> offsets as they ran
	running := map[string]bool{}
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		e := c.Invocation.Event
		var d foreignValue
		if err := json.Unmarshal(e.Data, &d); err != nil || e.Type != event.TypeRecord {
			t.Errorf("%s got %s with data %s: %v", c.Function, e.Type, e.Data, err)
		}
		if c.Function == "some" {
			return fail("the kind is " + d.Value.Kind), nil
		}
		mu.Lock()
		if running[d.Key64] {
			t.Errorf("two records of key %s run at a time", d.Key64)
		}
		running[d.Key64] = true
		seen[d.Key64] = append(seen[d.Key64], d.Offset)
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			running[d.Key64] = false
		}()
		return succeed(&event.Event{Type: "seen"}), nil
	}))
	const n = 12
	var rs []eventlog.Record
	for i := range n {
		r := eventlog.Record{Topic: "events", Partition: 0, Key: []byte{0xff, byte(i % 3)}, Value: []byte(`{"kind":"good"}`)}
		switch i % 4 {
		case 1:
			r.Value = []byte{0xfe}
		case 2:
			r.Value = nil
		case 3:
			r.Headers = []eventlog.Header{{Name: "ce_id", Value: []byte("1")}} // claims to be an event, and is none
		}
		rs = append(rs, r)
	}
	rs[8].Value = []byte(`{"kind":"bad"}`)
	if _, err := w.disk.Append(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	w.awaitFinished(n + 1)
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 3 {
		t.Errorf("keys = %v, want three", seen)
	}
	for key, offsets := range seen {
		for i, o := range offsets {
			if want := offsets[0] + int64(3*i); o != want {
				t.Errorf("key %s ran in the order %v", key, offsets)
				break
			}
		}
		if len(offsets) != n/3 {
			t.Errorf("key %s ran %d times, want %d", key, len(offsets), n/3)
		}
	}
	dead := w.dead()
	if len(dead) != 1 {
		t.Fatalf("dead letters = %v, want the one of the bad kind", dead)
	}
	for _, dl := range dead {
		if s := string(dl.Event); !strings.Contains(s, `"kind":"bad"`) || !strings.Contains(s, event.TypeRecord) {
			t.Errorf("the dead letter holds %s", s)
		}
	}
	causes := map[string]bool{}
	for _, r := range w.records("out") {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		causes[e.Extension(event.ExtCausationID)] = true
	}
	if len(causes) != n {
		t.Errorf("%d outputs name %d causes: %s", len(w.records("out")), len(causes), fmt.Sprint(causes))
	}
}
