package catalog

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// write appends a control event as another binary may.
func write(t *testing.T, log eventlog.Log, typ, entity string, expects int64, data string) int64 {
	t.Helper()
	text := fmt.Sprintf(`{"function":%q,"expects":%d%s}`, entity, expects, data)
	if !json.Valid([]byte(text)) {
		t.Fatalf("%s is no JSON", text)
	}
	r := eventlog.FromEvent(control.Topic, &event.Event{
		ID: event.NewID(), Source: "/dalamb/control", Type: typ, Subject: entity, DataContentType: "application/json", Data: []byte(text),
	})
	r.Partition = control.ID
	at, err := log.Append(t.Context(), []eventlog.Record{r})
	if err != nil {
		t.Fatal(err)
	}
	return at[0].Offset
}

const typeOfTomorrow = "dalamb.function.frozen.v1"

func TestANewerBinarysEventHasItsPlaceInTheOrder(t *testing.T) {
	log := newLog(t)
	c, _ := start(t, log, nil)
	last := submit(t, c, Deploy{Version: version("pay")}).functions["pay"].Last

	late := write(t, log, typeOfTomorrow, "pay", last-1, "") // lost against the deploy, on every node
	newer := write(t, log, typeOfTomorrow, "pay", last, "")
	shift := `,"alias":{"name":"live","primary":1}`
	write(t, log, event.TypeAliasShifted, "pay", last, shift) // written before newer was seen, so lost too
	if err := c.Wait(t.Context(), newer+1); err != nil {
		t.Fatal(err)
	}
	f, err := c.View().Function("pay")
	if err != nil {
		t.Fatal(err)
	}
	if f.Last != newer || c.View().expects("pay") != newer {
		t.Errorf("the last event of pay is %d, expected %d; want %d, the one that is not understood (%d and the shift came too late)", f.Last, c.View().expects("pay"), newer, late)
	}
	if got := submit(t, c, Deploy{Version: version("pay")}).functions["pay"]; len(got.Versions) != 2 {
		t.Errorf("a deploy after it made %d versions, want 2", len(got.Versions))
	}

	// What the event is about may be something that only the newer binary has.
	made := write(t, log, "dalamb.thing.made.v1", "thing/a", -1, "")
	if err := c.Wait(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if got := c.View().expects("thing/a"); got != made {
		t.Errorf("the last event of thing/a is %d, want %d", got, made)
	}
}

func TestMalformedEventsHaveNoPlaceInTheOrder(t *testing.T) {
	log := newLog(t)
	c, _ := start(t, log, nil)
	last := submit(t, c, Deploy{Version: version("pay")}).functions["pay"].Last
	var end int64
	for _, typ := range event.ControlTypes() {
		switch typ {
		case event.TypeFunctionRemoved, event.TypeTokenCreated, event.TypeTokenRemoved, event.TypeTriggerPaused, event.TypeTriggerResumed,
			event.TypeKeyPaused, event.TypeKeyResumed, event.TypeSecretRemoved, event.TypeConfigRemoved:
			continue // these say all they have to with a name
		}
		end = write(t, log, typ, "pay", last, "")
	}
	if err := c.Wait(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	if got := c.View().expects("pay"); got != last {
		t.Errorf("the last event of pay is %d, want %d: the others lack what they are about", got, last)
	}
}

func TestNoSnapshotGoesPastWhatANewerBinaryWrote(t *testing.T) {
	log, kept := newLog(t), &memory{}
	c, stop := start(t, log, kept)
	last := submit(t, c, Deploy{Version: version("pay")}).functions["pay"].Last
	stop()
	before, _ := kept.Load()
	if len(before) == 0 {
		t.Fatal("a stop kept no snapshot")
	}
	c, stop = start(t, log, kept)
	newer := write(t, log, typeOfTomorrow, "pay", last, "")
	if err := c.Wait(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: "next", Primary: 1}})
	stop()
	var file snapshotFile
	after, _ := kept.Load()
	if err := json.Unmarshal(after, &file); err != nil {
		t.Fatal(err)
	}
	if file.Offset > newer {
		t.Errorf("the snapshot goes up to %d: a newer binary that starts from it never reads its event at %d", file.Offset, newer)
	}
	c, _ = start(t, log, kept)
	if _, err := c.View().Alias("pay", "next"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}
