package git

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
)

// lock keeps git from moving a branch after its hook has accepted a push, as the end of the node would; it returns what takes that away.
func lock(t *testing.T, dir, branch string) (unlock func()) {
	t.Helper()
	path := filepath.Join(dir, "refs", "heads", branch+".lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// each returns how often each id is there.
func each(events []*event.Event) map[string]int {
	ids := map[string]int{}
	for _, e := range events {
		ids[e.ID]++
	}
	return ids
}

func TestAPushThatWasToldIsToldOnce(t *testing.T) {
	h, w := newHost(t), newWork(t)
	dir := h.server.repositories.path("shop")
	one := w.commit("One", shop())
	w.pushed(h.url, "main")
	two := w.commit("Two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	unlock := lock(t, dir, "main")
	if said, ok := w.push(h.url, "main"); ok || len(h.events) != 2 {
		t.Fatalf("a push whose branch git cannot move: %v, %d events, want it refused after its event\n%s", ok, len(h.events), said)
	}
	unlock()
	wantText(t, w.pushed(h.url, "main"), "pay                  version 2 (live)  unchanged")
	if len(h.events) != 2 {
		t.Fatalf("%d events after the same push again, want 2", len(h.events))
	}
	if _, err := os.Stat(filepath.Join(dir, toldFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want no note of what git has moved", toldFile, err)
	}

	// Back, and the same step once more: both are pushes of their own. So is another push instead of one that was not accepted.
	w.pushed("--force", h.url, one+":main")
	w.pushed(h.url, two+":main")
	unlock = lock(t, dir, "main")
	w.commit("Three", map[string]string{"pay/pay.sh": "#!/bin/sh\necho three\n"})
	if _, ok := w.push(h.url, "main"); ok {
		t.Fatal("pushed in spite of the lock")
	}
	unlock()
	w.commit("Four", map[string]string{"pay/pay.sh": "#!/bin/sh\necho four\n"})
	w.pushed(h.url, "main")
	if ids := each(h.events); len(h.events) != 6 || len(ids) != 6 {
		t.Errorf("%d events with %d ids, want 6 of each", len(h.events), len(ids))
	}

	// A log that has taken the event and cannot say so.
	w.git("checkout", "-q", "-b", "next")
	h.stored = errUnavailable
	if _, ok := w.push(h.url, "next"); ok {
		t.Fatal("pushed without a word of the log")
	}
	h.stored = nil
	w.pushed(h.url, "next")
	if ids := each(h.events); len(h.events) != 7 || len(ids) != 7 {
		t.Errorf("%d events with %d ids, want 7 of each", len(h.events), len(ids))
	}
	// One that has not.
	w.git("checkout", "-q", "-b", "after")
	h.append = errUnavailable
	if _, ok := w.push(h.url, "after"); ok {
		t.Fatal("pushed without the log")
	}
	h.append = nil
	w.pushed(h.url, "after")
	var last Pushed
	if err := json.Unmarshal(h.events[len(h.events)-1].Data, &last); err != nil || len(h.events) != 8 || last.Branch != "after" {
		t.Errorf("%d events, the last %+v, %v; want 8, and the branch after", len(h.events), last, err)
	}
}

// A node that ended before it knew that git had moved a branch finds a note of what is over.
func TestANoteThatStayedTakesNoPushForAnother(t *testing.T) {
	h, w := newHost(t), newWork(t)
	path := filepath.Join(h.server.repositories.path("shop"), toldFile)
	one := w.commit("One", shop())
	w.pushed(h.url, "main")
	two := w.commit("Two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	unlock := lock(t, filepath.Dir(path), "main")
	_, _ = w.push(h.url, "main") // it is told and refused
	unlock()
	note, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w.pushed(h.url, "main")
	if err := os.WriteFile(path, note, 0o600); err != nil {
		t.Fatal(err)
	}
	w.pushed("--force", h.url, one+":main")
	w.pushed(h.url, two+":main")
	if ids := each(h.events); len(h.events) != 4 || len(ids) != 4 {
		t.Errorf("%d events with %d ids, want 4 of each", len(h.events), len(ids))
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.commit("Three", map[string]string{"pay/pay.sh": "#!/bin/sh\necho three\n"})
	w.pushed(h.url, "main") // whatever is in the file
	if len(h.events) != 5 {
		t.Errorf("%d events, want 5", len(h.events))
	}
}

func TestWhatAHookToldOfIsToldOnce(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("One", shop())
	e.pushed("origin", "main")
	if _, err := h.bring(e.told("refs/heads/main", "", one)); err != nil {
		t.Fatal(err)
	}
	two := e.commit("Two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	e.pushed("origin", "main")
	told := e.told("refs/heads/main", one, two)
	told.ID = "the second"
	unlock := lock(t, h.server.remotes.path(told.mirror()), "main")
	if _, err := h.bring(told); err == nil {
		t.Fatal("brought in spite of the lock")
	}
	unlock()
	if _, err := h.bring(told); err != nil {
		t.Fatal(err)
	}
	if n := each(h.events)["the second"]; len(h.events) != 2 || n != 1 {
		t.Errorf("%d events, %d of the second; want 2 and 1", len(h.events), n)
	}
}
