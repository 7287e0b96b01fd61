package seal

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

const canary = `{"name":"Ada Canary"}`

// world is a log, and nodes over it that share the key of the installation.
type world struct {
	*testing.T
	log eventlog.Log
	box *secret.Box
}

func newWorld(t *testing.T, topics ...string) *world {
	t.Helper()
	l, err := enginetest.Open(enginetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	box, err := secret.Open(t.Context(), secret.Options{File: filepath.Join(t.TempDir(), "key")})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, log: l, box: box}
	w.create(eventlog.Topic{Name: function.TopicSeals, Partitions: 1, Compact: true})
	for _, name := range append(topics, function.TopicDead) {
		w.create(eventlog.Topic{Name: name, Partitions: 1})
	}
	return w
}

func (w *world) create(t eventlog.Topic) {
	w.Helper()
	if err := w.log.CreateTopic(w.Context(), t); err != nil {
		w.Fatal(err)
	}
}

// node is a sealing log to which those topics are sealed whose names begin with s.
func (w *world) node() (eventlog.Log, *Log) {
	w.Helper()
	l, own, err := Over(Options{Log: w.log, Box: w.box, Sealed: func(topic string) bool { return topic[0] == 's' }})
	if err != nil {
		w.Fatal(err)
	}
	return l, own
}

func record(topic, id, key, data string) eventlog.Record {
	e := &event.Event{ID: id, Source: "/t", Type: "order.created", Data: []byte(data), DataContentType: "application/json"}
	if err := e.SetExtension(event.ExtPartitionKey, key); key != "" && err != nil {
		panic(err)
	}
	return eventlog.FromEvent(topic, e)
}

func (w *world) put(l eventlog.Log, rs ...eventlog.Record) []eventlog.Position {
	w.Helper()
	at, err := l.Append(w.Context(), rs)
	if err != nil || len(at) != len(rs) {
		w.Fatalf("Append(%d records) = %d positions, %v", len(rs), len(at), err)
	}
	for i := range at {
		if at[i].Topic != rs[i].Topic {
			w.Fatalf("position %d is in topic %s, want %s", i, at[i].Topic, rs[i].Topic)
		}
	}
	return at
}

// read reads all of a topic of one partition.
func (w *world) read(l eventlog.Log, topic string) []eventlog.Record {
	w.Helper()
	var all []eventlog.Record
	_, err := eventlog.ReadAll(w.Context(), l, eventlog.Partition{Topic: topic}, func(r *eventlog.Record) error {
		all = append(all, *r)
		return nil
	})
	if err != nil {
		w.Fatalf("read %s: %v", topic, err)
	}
	return all
}

// states says of each event of a topic its id and its data, or why there is none.
func (w *world) states(l eventlog.Log, topic string) string {
	w.Helper()
	var out []string
	for _, r := range w.read(l, topic) {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			w.Fatal(err)
		}
		state := string(e.Data)
		if s := e.Extension(event.ExtSealed); s != "" {
			state += s
		}
		if r.Lost() != (len(e.Data) == 0) {
			w.Errorf("Lost of event %s = %v, and it has %d bytes", e.ID, r.Lost(), len(e.Data))
		}
		out = append(out, e.ID+"="+state)
	}
	return strings.Join(out, " ")
}

func (w *world) want(l eventlog.Log, topic, want string) {
	w.Helper()
	if got := w.states(l, topic); got != want {
		w.Errorf("%s holds %s, want %s", topic, got, want)
	}
}

func (w *world) forget(l *Log, key, topic string) int {
	w.Helper()
	n, _, err := l.Forget(w.Context(), []byte(key), topic)
	if err != nil {
		w.Fatalf("Forget(%s, %q) = %v", key, topic, err)
	}
	return n
}

func TestPayloadsOfSealedTopicsAreStoredSealed(t *testing.T) {
	w := newWorld(t, "s1", "open")
	l, _ := w.node()
	w.put(l, record("s1", "1", "k", canary), record("open", "2", "k", canary), record("s1", "3", "other", canary), record("s1", "4", "", canary))
	for _, r := range w.read(w.log, "s1") {
		keyless := len(r.Key) == 0
		if bytes.Contains(r.Value, []byte("Canary")) != keyless {
			t.Errorf("the record of key %q holds %q", r.Key, r.Value)
		}
		if e, err := eventlog.ToEvent(r); err != nil || e.Type != "order.created" || e.ID == "" {
			t.Errorf("what is no payload = %+v, %v; want it as it was", e, err)
		}
	}
	w.want(l, "s1", "1="+canary+" 3="+canary+" 4="+canary)
	w.want(l, "open", "2="+canary)
	for _, r := range w.read(l, "open") {
		if e, _ := eventlog.ToEvent(r); e.Seal != "" {
			t.Errorf("event of an open topic has the seal %q", e.Seal)
		}
	}
	again, _ := w.node() // after a restart
	w.want(again, "s1", "1="+canary+" 3="+canary+" 4="+canary)
}

func TestForgetTakesTheEventsOfOneKeyForGood(t *testing.T) {
	w := newWorld(t, "s1", "s2")
	l, own := w.node()
	other, otherOwn := w.node() // makes a key of its own for k: nodes do not ask each other
	w.put(l, record("s1", "1", "k", canary), record("s2", "2", "k", canary), record("s1", "3", "other", canary))
	w.put(other, record("s1", "4", "k", canary))
	w.want(other, "s1", "1="+canary+" 3="+canary+" 4="+canary)
	var before [][]byte
	for _, r := range w.read(w.log, "s1") {
		before = append(before, r.Value)
	}
	held, whole, err := own.Held(t.Context(), []byte("k"), "", time.Minute)
	if err != nil || !whole || fmt.Sprint(held) != "[{s1 2} {s2 1}]" {
		t.Errorf("Held = %v, %v, %v; want 2 of s1 and 1 of s2", held, whole, err)
	}
	w.forget(own, "k", "s1")
	w.want(l, "s1", "1=forgotten 3="+canary+" 4=forgotten")
	w.want(l, "s2", "2="+canary)
	w.forget(own, "k", "")
	w.want(l, "s2", "2=forgotten")
	// The other node has not followed: what it appends now has a new key all the same.
	w.put(other, record("s1", "5", "k", canary))
	w.want(l, "s1", "1=forgotten 3="+canary+" 4=forgotten 5="+canary)
	w.want(other, "s1", "1=forgotten 3="+canary+" 4=forgotten 5="+canary)
	fresh, _ := w.node()
	w.want(fresh, "s1", "1=forgotten 3="+canary+" 4=forgotten 5="+canary)
	for i, r := range w.read(w.log, "s1")[:len(before)] {
		if !bytes.Equal(r.Value, before[i]) {
			t.Errorf("what is stored at %d has changed", i)
		}
	}
	if n := w.forget(otherOwn, "k", "s2"); n != 0 {
		t.Errorf("a second Forget found %d keys, want none", n)
	}
}

// A copy of a payload goes with the event, also when it is stored after that was forgotten.
func TestWhatRepeatsAPayloadIsForgottenWithIt(t *testing.T) {
	w := newWorld(t, "s1")
	l, own := w.node()
	w.put(l, record("s1", "1", "k", canary))
	e, err := eventlog.ToEvent(w.read(l, "s1")[0])
	if err != nil || e.Seal == "" {
		t.Fatalf("event = %+v, %v; want one with a seal", e, err)
	}
	letter := func(id string, s *eventlog.Seal) eventlog.Record {
		r := record(function.TopicDead, id, "run-1", canary)
		r.Seal = s
		return r
	}
	w.put(l, letter("2", eventlog.SealedAs(e)), letter("3", &eventlog.Seal{Topic: "s1", Key: []byte("k")}), letter("4", &eventlog.Seal{Topic: "open", Key: []byte("k")}))
	w.want(l, function.TopicDead, "2="+canary+" 3="+canary+" 4="+canary)
	if own.Forgotten(e.Seal) {
		t.Error("Forgotten before it was")
	}
	w.forget(own, "k", "")
	if !own.Forgotten(e.Seal) {
		t.Error("Forgotten = false after it was")
	}
	w.put(l, letter("5", eventlog.SealedAs(e)))
	w.want(l, function.TopicDead, "2=forgotten 3=forgotten 4="+canary+" 5=forgotten")
	for _, r := range w.read(w.log, function.TopicDead) {
		if bytes.Contains(r.Value, []byte("Canary")) && string(headerOf(&r, "ce_id")) != "4" {
			t.Errorf("the log holds %q", r.Value)
		}
	}
}

func TestCommitsAreSealedAndTellOfTheirOwnRecordsAlone(t *testing.T) {
	w := newWorld(t, "s1")
	l, _ := w.node()
	assigned := make(chan struct{}, 16)
	m, err := l.Join(t.Context(), eventlog.JoinOptions{
		Group: "g", Assigned: func(context.Context, []eventlog.Partition) { assigned <- struct{}{} },
		Revoked: func(context.Context, []eventlog.Partition) {}, Lost: func([]eventlog.Partition) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Leave(context.Background())
	if err := m.SetTopics(t.Context(), []string{"s1"}); err != nil {
		t.Fatal(err)
	}
	<-assigned
	at, err := m.Commit(t.Context(), eventlog.Txn{Records: []eventlog.Record{record("s1", "1", "k", canary), record("s1", "2", "k2", canary)}, Claims: []eventlog.Partition{{Topic: "s1"}}})
	if err != nil || len(at) != 2 || at[0].Topic != "s1" || at[1].Offset != at[0].Offset+1 {
		t.Fatalf("Commit = %v, %v; want the positions of two records", at, err)
	}
	w.want(l, "s1", "1="+canary+" 2="+canary)
	if s := w.read(w.log, "s1"); bytes.Contains(s[0].Value, []byte("Canary")) || bytes.Contains(s[1].Value, []byte("Canary")) {
		t.Error("what was committed is not sealed")
	}
}

func TestASecondAppendOnceOfASealedEventIsTheFirst(t *testing.T) {
	w := newWorld(t, "s1")
	l, _ := w.node()
	d, ok := l.(eventlog.Deduper)
	if !ok {
		return // an engine without
	}
	once := eventlog.Once{IDs: []string{"i"}, Window: time.Hour}
	first, repeated, err := d.AppendOnce(t.Context(), []eventlog.Record{record("s1", "1", "k", canary)}, once)
	if err != nil || repeated[0] {
		t.Fatalf("AppendOnce = %v, %v", repeated, err)
	}
	second, repeated, err := d.AppendOnce(t.Context(), []eventlog.Record{record("s1", "1", "k", canary)}, once)
	if err != nil || !repeated[0] || second[0] != first[0] {
		t.Errorf("AppendOnce again = %v, %v, %v; want the first's position %v", second, repeated, err, first)
	}
	w.want(l, "s1", "1="+canary)
}

// Others write to a cluster's topics, and may write anything: no reader stops for that.
func TestHostileSealsStopNobody(t *testing.T) {
	w := newWorld(t, "s1")
	l, _ := w.node()
	w.put(l, record("s1", "1", "k", canary))
	good := w.read(w.log, "s1")[0]
	with := func(id string, change func(r *eventlog.Record)) eventlog.Record {
		r := eventlog.Record{Topic: "s1", Partition: 0, Key: good.Key, Value: bytes.Clone(good.Value)}
		for _, h := range good.Headers {
			if h.Name == "ce_id" {
				h.Value = []byte(id)
			}
			r.Headers = append(r.Headers, h)
		}
		change(&r)
		return r
	}
	seal := func(text string) func(*eventlog.Record) {
		return func(r *eventlog.Record) { r.Headers[len(r.Headers)-1].Value = []byte(text) }
	}
	var unknown keyID
	w.put(w.log,
		with("2", func(*eventlog.Record) {}),                        // the same bytes as another event
		with("3", func(r *eventlog.Record) { r.Key = []byte("j") }), // or of another key
		with("1", func(r *eventlog.Record) { r.Value[len(r.Value)-1] ^= 1 }),
		with("short", func(r *eventlog.Record) { r.Value = []byte("x") }),
		with("nonsense", seal("nonsense")), with("unknown", seal(unknown.String())),
		with("long", seal(strings.Repeat("A", 4096))),
		with("otherkey", func(r *eventlog.Record) { r.Key = []byte("k9") }))
	w.want(l, "s1", "1="+canary+" 2=damaged 3=damaged 1=damaged short=damaged nonsense=damaged unknown=forgotten long=damaged otherkey=damaged")
}

// A node that lacks the installation's key must not take events for forgotten: their runs would be passed over.
func TestWithoutTheInstallationsKeyNothingIsTakenForForgotten(t *testing.T) {
	w := newWorld(t, "s1")
	l, _ := w.node()
	w.put(l, record("s1", "1", "k", canary))
	var err error
	if w.box, err = secret.Open(t.Context(), secret.Options{File: filepath.Join(t.TempDir(), "another")}); err != nil {
		t.Fatal(err)
	}
	stranger, _ := w.node()
	_, err = stranger.Read(t.Context(), eventlog.Partition{Topic: "s1"}, 0, eventlog.ReadOptions{NoWait: true})
	if fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" || strings.Contains(err.Error(), "Canary") {
		t.Errorf("Read = %v, want Unavailable with a hint", err)
	}
	if _, err := stranger.Append(t.Context(), []eventlog.Record{record("s1", "2", "k", canary)}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Append = %v, want Unavailable", err)
	}
}

func TestOpenKeysAreBounded(t *testing.T) {
	w := newWorld(t, "s1")
	l, own := w.node()
	var rs []eventlog.Record
	for i := range openedMost + 100 {
		rs = append(rs, record("s1", fmt.Sprint(i), fmt.Sprint("k", i), canary))
	}
	w.put(l, rs...)
	if n := len(own.keys.opened); n > openedMost {
		t.Errorf("%d keys are open, want at most %d", n, openedMost)
	}
	for _, r := range w.read(l, "s1") {
		if string(r.Value) != canary {
			t.Fatalf("record %d = %q", r.Offset, r.Value)
		}
	}
}

// TestAForgottenKeyIsInNoFile looks at the files of the embedded log.
func TestAForgottenKeyIsInNoFile(t *testing.T) {
	dir := t.TempDir()
	d, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	box, err := secret.Open(t.Context(), secret.Options{File: filepath.Join(t.TempDir(), "key")})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, log: d, box: box}
	w.create(eventlog.Topic{Name: function.TopicSeals, Partitions: 1, Compact: true})
	w.create(eventlog.Topic{Name: "s1", Partitions: 1})
	l, own := w.node()
	w.put(l, record("s1", "1", "k", canary), record("s1", "2", "other", canary))
	made, err := d.Checkpoint(t.Context()) // which makes tables of what was only in the write-ahead log
	if err == nil {
		err = os.RemoveAll(made)
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string][]byte{} // of whom -> the data key as it stands in the log
	for _, r := range w.read(d, function.TopicSeals) {
		for _, of := range []string{"k", "other"} {
			if r.Key[0] == dataPrefix && keyID(r.Key[1:]).owner() == digestOf([]byte(of)) {
				keys[of] = r.Value[len(r.Value)-keySize:]
			}
		}
	}
	if holds(t, dir, keys["k"]) == "" || holds(t, dir, keys["other"]) == "" {
		t.Fatal("the keys are not found where they have to be: the test sees nothing")
	}
	_, erased, err := own.Forget(t.Context(), []byte("k"), "")
	if err != nil || !erased {
		t.Fatalf("Forget = erased %v, %v", erased, err)
	}
	if at := holds(t, dir, keys["k"]); at != "" {
		t.Errorf("%s holds the key that was forgotten", at)
	}
	if holds(t, dir, keys["other"]) == "" {
		t.Error("the other key is gone, too")
	}
	w.want(l, "s1", "1=forgotten 2="+canary)
}

func holds(t *testing.T, dir string, what []byte) (path string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // files go while it walks
		}
		if text, err := os.ReadFile(p); err == nil && bytes.Contains(text, what) {
			path = p
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}
