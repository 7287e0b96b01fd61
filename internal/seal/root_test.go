package seal

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

// forge stores an event of s1 that names a data key, and that key, which names a root key, as somebody could who may write to all topics.
func (w *world) forge(id, key, root string) {
	w.Helper()
	aead, err := gcm(randomBytes(keySize))
	if err != nil {
		w.Fatal(err)
	}
	made, err := makeKey(&rootKey{id: root, aead: aead}, digestOf([]byte(key)), "s1")
	if err != nil {
		w.Fatal(err)
	}
	r := record("s1", id, key, canary)
	w.put(w.log, made.record)
	w.put(w.log, sealed(&r, made))
}

func (w *world) forgeRoot(root string, value []byte) {
	w.Helper()
	w.put(w.log, eventlog.Record{Topic: function.TopicSeals, Key: append([]byte{rootPrefix}, root...), Value: value})
}

// rootFor is a root key as a node stores it that has a key file.
func (w *world) rootFor(root string, box Box, key []byte) []byte {
	w.Helper()
	s, err := box.Seal(w.Context(), secret.RootKey(hex.EncodeToString([]byte(root))), key)
	if err != nil {
		w.Fatal(err)
	}
	return rootValue(w, s)
}

func rootValue(w *world, s secret.Sealed) []byte {
	w.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		w.Fatal(err)
	}
	return append([]byte{rootFormat}, text...)
}

func (w *world) another() *secret.Box {
	w.Helper()
	box, err := secret.Open(w.Context(), secret.Options{File: filepath.Join(w.TempDir(), "key")})
	if err != nil {
		w.Fatal(err)
	}
	return box
}

// unreadable wants that a read of s1 is refused, and that no event is taken for lost.
func (w *world) unreadable(why string) {
	w.Helper()
	l, _ := w.node()
	rs, err := l.Read(w.Context(), eventlog.Partition{Topic: "s1"}, 0, eventlog.ReadOptions{NoWait: true})
	if fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
		w.Errorf("%s: Read = %d records, %v; want Unavailable with a hint", why, len(rs), err)
	}
}

func TestARootKeyThatNobodyCouldHaveStoredStopsNobody(t *testing.T) {
	w := newWorld(t, "s1")
	l, _ := w.node()
	w.put(l, record("s1", "1", "k", canary))
	w.forgeRoot("nonsense", []byte("nonsense"))
	w.forgeRoot("nojson--", append([]byte{rootFormat}, "no JSON"...))
	w.forgeRoot("notours-", rootValue(w, secret.Sealed{Key: w.box.Key(), Text: []byte("no age file")}))
	w.forgeRoot("renamed-", w.rootFor("another-", w.box, randomBytes(keySize)))
	w.forgeRoot("tooshort", w.rootFor("tooshort", w.box, randomBytes(keySize-1)))
	w.forge("2", "j", "unknown-")
	w.forge("3", "j", "nonsense")
	w.forge("4", "j", "nojson--")
	w.forge("5", "j", "notours-")
	w.forge("6", "j", "renamed-")
	w.forge("7", "j", "tooshort")
	w.forgeRoot("of-other", w.rootFor("of-other", w.another(), randomBytes(keySize)))
	w.forge("7b", "j", "of-other")
	want := "1=" + canary + " 2=damaged 3=damaged 4=damaged 5=damaged 6=damaged 7=damaged 7b=damaged"
	w.want(l, "s1", want)
	fresh, _ := w.node()
	w.want(fresh, "s1", want)
	// Nor is an event key stopped for which such a key stands there, nor who copies such an event.
	w.put(fresh, record("s1", "8", "j", canary))
	e, err := eventlog.ToEvent(w.read(fresh, "s1")[1])
	if err != nil {
		t.Fatal(err)
	}
	letter := record(function.TopicDead, "9", "run-1", canary)
	letter.Seal = eventlog.SealedAs(e)
	w.put(fresh, letter)
	w.want(l, "s1", want+" 8="+canary)
	if dead := w.read(w.log, function.TopicDead); bytes.Contains(dead[0].Value, []byte("Canary")) || event.SealIn(dead[0].Headers) != e.Seal {
		t.Errorf("the copy of a damaged event is stored as %q, want it sealed by %s", dead[0].Value, e.Seal)
	}
}

func TestAnEventIsDamagedOnlyWhereTheNodeHasTheInstallationsKey(t *testing.T) {
	t.Run("no root key opens", func(t *testing.T) {
		w := newWorld(t, "s1")
		l, _ := w.node()
		w.put(l, record("s1", "1", "k", canary))
		w.forge("2", "j", "unknown-")
		w.box = w.another()
		w.unreadable("with another key file")
	})
	t.Run("the root keys are for another installation's key", func(t *testing.T) {
		w := newWorld(t, "s1")
		w.forgeRoot("of-other", w.rootFor("of-other", w.another(), randomBytes(keySize)))
		w.forge("2", "j", "of-other")
		w.unreadable("a root key for another key file")
		w.forgeRoot("of-this-", w.rootFor("of-this-", w.box, randomBytes(keySize)))
		w.unreadable("the first root key for another key file")
	})
	t.Run("the first root key is gone", func(t *testing.T) {
		w := newWorld(t, "s1")
		l, own := w.node()
		w.put(l, record("s1", "1", "k", canary))
		first, _ := own.keys.firstRoot()
		w.forgeRoot(first, nil)
		w.unreadable("without the first root key")
	})
	t.Run("the first root key is spoilt", func(t *testing.T) {
		w := newWorld(t, "s1")
		l, own := w.node()
		w.put(l, record("s1", "1", "k", canary))
		first, _ := own.keys.firstRoot()
		w.forgeRoot(first, []byte(strings.Repeat("x", 64)))
		w.forge("2", "j", "unknown-")
		w.unreadable("with a spoilt first root key")
	})
	t.Run("there is no root key", func(t *testing.T) {
		w := newWorld(t, "s1")
		w.forge("2", "j", "unknown-")
		w.unreadable("without any root key")
	})
}

// A root key that was stored again stands behind the data keys that name it: who has not come by it yet must not take them for damaged.
func TestARootKeyThatStandsFurtherOnIsFound(t *testing.T) {
	w := newWorld(t, "s1")
	l, own := w.node()
	w.put(l, record("s1", "1", "k", canary))
	first, _ := own.keys.firstRoot()
	stored := w.read(w.log, function.TopicSeals)
	w.forgeRoot(first, stored[0].Value)
	behind := newKeys(w.log, w.box, slog.New(slog.DiscardHandler))
	behind.fold(stored[1:])
	if _, err := behind.open(t.Context(), own.keys.idsOf(digestOf([]byte("k")), "s1")[0]); err != nil {
		t.Errorf("open by who has folded the data key alone = %v", err)
	}
}

// asked counts how often somebody asks for the end of _dalamb.seals.
type asked struct {
	eventlog.Log
	times int
}

func (a *asked) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	if p.Topic == function.TopicSeals {
		a.times++
	}
	return a.Log.Bounds(ctx, p)
}

func TestWhatNamesNoRootKeyAsksOnceForIt(t *testing.T) {
	w := newWorld(t, "s1")
	l, _ := w.node()
	w.put(l, record("s1", "1", "k", canary))
	for _, id := range []string{"2", "3", "4", "5"} {
		w.forge(id, "j"+id, "unknown-")
	}
	counted := &asked{Log: w.log}
	var loud bytes.Buffer
	reader, _, err := Over(Options{Log: counted, Box: w.box, Logger: slog.New(slog.NewTextHandler(&loud, nil)), Sealed: func(string) bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	want := "1=" + canary + " 2=damaged 3=damaged 4=damaged 5=damaged"
	w.want(reader, "s1", want)
	w.want(reader, "s1", want)
	if counted.times > 2 { // for the first key, and for the root key
		t.Errorf("the end of %s was asked for %d times, want 2 at most", function.TopicSeals, counted.times)
	}
	if n := strings.Count(loud.String(), "level=WARN"); n != 1 {
		t.Errorf("logged %d warnings, want 1: %s", n, loud.String())
	}
	// One that names it and comes later may have brought it along.
	w.forge("6", "j6", "unknown-")
	w.want(reader, "s1", want+" 6=damaged")
}
