package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// sharedClock is what time it is for a log, which looks at it beside the test, and for its audit.
type sharedClock struct{ at atomic.Int64 }

func (c *sharedClock) Now() time.Time { return time.Unix(0, c.at.Load()).UTC() }

func (c *sharedClock) add(d time.Duration) { c.at.Add(int64(d)) }

// rig is a log and its audit, as a node has them.
type rig struct {
	t    *testing.T
	data string // has log and audit
	file string // of checkpoints, elsewhere
	now  *sharedClock
	key  string // public, as it was kept elsewhere
	log  *disk.Log
	keep *Keeper
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, data: filepath.Join(t.TempDir(), "data"), file: filepath.Join(t.TempDir(), "checkpoints"), now: &sharedClock{}}
	r.now.at.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano())
	r.open()
	return r
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	r.log, err = disk.Open(disk.Options{Dir: filepath.Join(r.data, "log"), Now: r.now.Now, SweepEvery: time.Hour})
	if err != nil {
		r.t.Fatal(err)
	}
	log := r.log
	r.t.Cleanup(func() { log.Close() })
	r.again()
}

// again begins the audit anew on the same files, as after a kill.
func (r *rig) again() {
	r.t.Helper()
	dir := filepath.Join(r.data, "audit")
	outside, err := File(r.file, dir)
	if err != nil {
		r.t.Fatal(err)
	}
	r.keep, err = New(Options{Log: r.log, Dir: dir, Outside: outside, Now: r.now.Now})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) close() {
	r.t.Helper()
	if err := r.log.Close(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) topic(t eventlog.Topic) {
	r.t.Helper()
	if err := r.log.CreateTopic(r.t.Context(), t); err != nil {
		r.t.Fatal(err)
	}
}

// emit appends n events, each with a key of its own.
func (r *rig) emit(topic string, from, n int) []eventlog.Position {
	r.t.Helper()
	var rs []eventlog.Record
	for i := from; i < from+n; i++ {
		rs = append(rs, eventlog.FromEvent(topic, order(i)))
	}
	at, err := r.log.Append(r.t.Context(), rs)
	if err != nil {
		r.t.Fatal(err)
	}
	return at
}

func order(i int) *event.Event {
	return &event.Event{
		ID: fmt.Sprintf("e-%05d", i), Source: "/till", Type: "order.paid", Subject: fmt.Sprintf("o-%05d", i), Time: time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC),
		DataContentType: "application/json", Data: fmt.Appendf(nil, `{"order":%d,"total":"%05d EUR"}`, i, 10*i),
	}
}

// sign is a round that is due.
func (r *rig) sign() {
	r.t.Helper()
	r.now.add(time.Minute)
	if err := turn(r.t.Context(), r.keep); err != nil {
		r.t.Fatal(err)
	}
	if r.keep.trouble != nil {
		r.t.Fatalf("the audit stands still: %v", r.keep.trouble)
	}
	r.key = r.keep.public
}

// turn is what Run does when a checkpoint is due, and what brings it outside.
func turn(ctx context.Context, k *Keeper) error {
	if !k.bringer.isKnown() {
		if err := k.round(ctx, false); err != nil {
			return err
		}
		k.bring(ctx)
	}
	err := k.round(ctx, true)
	k.bring(ctx)
	return err
}

// verify compares as dalamb audit verify does, with what was kept elsewhere.
func (r *rig) verify() *wire.AuditReport {
	r.t.Helper()
	if r.key == "" {
		r.key = r.keep.public
	}
	key, err := ParseKey(r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	outside, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	report, err := Verify(r.t.Context(), VerifyOptions{Log: r.log, Dir: filepath.Join(r.data, "audit"), Key: key, Outside: outside, From: "checkpoints"})
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

// clean wants a log that is as it was signed.
func (r *rig) clean() *wire.AuditReport {
	r.t.Helper()
	report := r.verify()
	if len(report.Findings) > 0 {
		r.t.Fatalf("findings in a log that nobody changed: %+v", report.Findings)
	}
	return report
}

// found wants one finding of a kind, at an offset of a partition, and says it whole when there is another.
func (r *rig) found(report *wire.AuditReport, kind string, at eventlog.Position) {
	r.t.Helper()
	for _, f := range report.Findings {
		if f.Kind == kind && (at.Topic == "" || f.Topic == at.Topic && f.Partition == at.Partition && f.Offset <= at.Offset && at.Offset <= f.To) {
			return
		}
	}
	r.t.Errorf("no finding %s at %v in %+v", kind, at, report.Findings)
}

func TestTreesAreThoseOfTlog(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 2})
	r.emit("orders", 0, 700)
	r.sign()
	r.emit("orders", 700, 411)
	r.sign()
	topics, err := r.log.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		var stored []tlog.Hash
		reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
			for _, i := range indexes {
				out = append(out, stored[i])
			}
			return out, nil
		})
		var id string
		for _, topic := range topics {
			if topic.Name == "orders" {
				id = topic.ID
			}
		}
		n := int64(0)
		_, err := eventlog.ReadAll(t.Context(), r.log, eventlog.Partition{Topic: "orders", ID: p}, func(rec *eventlog.Record) error {
			hs, err := tlog.StoredHashes(n, Encode(nil, id, rec), reader)
			stored = append(stored, hs...)
			n++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want, err := tlog.TreeHash(n, reader)
		if err != nil {
			t.Fatal(err)
		}
		if h := r.keep.state.trees[treeID{id, p}]; h.root != want || h.size != n || h.end != n {
			t.Errorf("orders/%d has the root %v of %d leaves up to %d, want %v of %d", p, h.root, h.size, h.end, want, n)
		}
		f := treeFiles(r.keep.Dir, id, p)
		for _, level := range []int{0, 3, 8} {
			index := tlog.StoredHashIndex(level, 1)
			if got, err := f.ReadHashes([]int64{index}); err != nil || got[0] != stored[index] {
				t.Errorf("hash of level %d in orders/%d = %v, %v, want %v", level, p, got, err, stored[index])
			}
		}
	}
}

func TestALogThatNobodyChangedIsClean(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 2})
	r.topic(eventlog.Topic{Name: "old", Partitions: 1})
	r.topic(eventlog.Topic{Name: "stock", Partitions: 1, Compact: true})
	r.emit("orders", 0, 300)
	r.emit("old", 0, 5)
	r.sign()
	r.sign() // nothing has changed
	if r.keep.state.seq != 1 {
		t.Errorf("%d checkpoints after one change, want 1", r.keep.state.seq)
	}
	r.emit("stock", 0, 10)
	r.emit("stock", 5, 5)
	r.emit("orders", 300, 7)
	if err := r.log.DeleteTopic(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	r.sign()
	r.again()
	r.emit("orders", 307, 4)
	r.sign()
	r.close()
	r.open()
	r.emit("orders", 311, 2)
	r.sign()

	// Retention takes all of orders that stands there, compaction most of stock.
	r.now.add(31 * 24 * time.Hour)
	if err := r.log.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.emit("orders", 313, 9)
	r.sign()
	r.emit("orders", 322, 3)
	if err := r.keep.round(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	r.emit("orders", 325, 1)
	report := r.clean()
	if report.Retired != 313 || report.Compacted != 5 || report.Checkpoints != 5 || report.Unsigned != 4 || report.Unhashed != 1 {
		t.Errorf("report = %+v, want 313 retired, 5 compacted, 5 checkpoints, 4 unsigned (one of them a checkpoint), 1 not hashed", report)
	}
}

func TestALogFromBeforeTheAuditIsTakenAsItIs(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 20)
	r.now.add(31 * 24 * time.Hour)
	if err := r.log.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := r.emit("orders", 20, 20)
	r.sign()
	if report := r.clean(); report.Records < 20 || report.Retired != 0 {
		t.Errorf("report = %+v, want 20 records", report)
	}
	if _, err := r.keep.Prove(t.Context(), at[0]); err != nil {
		t.Errorf("Prove of the first record that is left: %v", err)
	}
	if _, err := r.keep.Prove(t.Context(), eventlog.Position{Topic: "orders", Offset: 3}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Prove of a record from before the audit: %v, want NotFound", err)
	}
}

// A node that is killed has leaves that no checkpoint has, and may have half a leaf, or a checkpoint in the log that its state does not know.
func TestKilledBetweenAppendAndCheckpoint(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 600)
	r.sign()
	state := filepath.Join(r.keep.Dir, stateFile)
	before, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	f := r.files("orders", 0)

	r.emit("orders", 600, 100)
	if err := r.keep.round(t.Context(), false); err != nil { // hashed, not signed
		t.Fatal(err)
	}
	half(t, f.leaves)
	r.again()
	r.sign()
	if report := r.clean(); report.Records < 700 {
		t.Errorf("report = %+v, want 700 records", report)
	}

	if err := os.WriteFile(state, before, 0o600); err != nil { // the second checkpoint was signed, and the state not kept
		t.Fatal(err)
	}
	r.again()
	r.emit("orders", 700, 1)
	r.sign()
	if report := r.clean(); report.Checkpoints != 3 {
		t.Errorf("report = %+v, want 3 checkpoints in a row", report)
	}

	// What is not whole behind the signed part goes, and comes again from the log.
	r.emit("orders", 701, 50)
	if err := r.keep.round(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	size, err := fileSize(f.leaves)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, f.leaves, size-20*entrySize)
	r.again()
	r.sign()
	r.clean()
}

// A backup has the log as it was a little before the leaves. What was hashed in between, and not signed, is gone with its records.
func TestARestoredLogThatIsOlderThanUnsignedLeaves(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 300)
	r.sign()
	older := filepath.Join(t.TempDir(), "older")
	r.close()
	if err := os.CopyFS(older, os.DirFS(filepath.Join(r.data, "log"))); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.emit("orders", 300, 20)
	if err := r.keep.round(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	r.close()
	if err := errors.Join(os.RemoveAll(filepath.Join(r.data, "log")), os.CopyFS(filepath.Join(r.data, "log"), os.DirFS(older))); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.emit("orders", 1000, 5)
	r.sign()
	if report := r.clean(); report.Checkpoints != 2 {
		t.Errorf("report = %+v, want that it goes on", report)
	}
}

func half(t *testing.T, path string) {
	t.Helper()
	size, err := fileSize(path)
	if err == nil {
		err = os.Truncate(path, size-entrySize/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[at] ^= 0x10
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) files(topic string, partition int32) files {
	r.t.Helper()
	id, err := r.keep.topicID(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	return treeFiles(r.keep.Dir, id, partition)
}

func TestRunSignsWhenItStops(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.keep.Look = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.keep.Run(ctx) }()
	r.emit("orders", 0, 10)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if report := r.clean(); report.Unsigned > 1 || report.Unhashed > 1 { // the last checkpoint itself
		t.Errorf("report = %+v, want everything signed", report)
	}
}

func TestCheckpointsWaitForTheFileOutside(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	away := filepath.Join(t.TempDir(), "mount")
	r.file = filepath.Join(away, "checkpoints")
	r.again()
	for i := range 3 {
		r.emit("orders", i, 1)
		r.sign()
	}
	if s := r.keep.State(); s.Missing != 3 || s.Checkpoint != 3 || !strings.Contains(s.OutsideTrouble, "no such file or directory") {
		t.Errorf("State = %+v, want 3 checkpoints, all of them missing outside, and why", s)
	}
	if err := os.Mkdir(away, 0o700); err != nil {
		t.Fatal(err)
	}
	r.sign()
	if report := r.clean(); report.Checkpoints != 3 {
		t.Errorf("report = %+v, want 3 checkpoints", report)
	}
	// Half of the last one, then all of it.
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(pieces(text)); n != 3 {
		t.Errorf("%d checkpoints outside, want 3", n)
	}
	if err := os.WriteFile(r.file, text[:len(text)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	r.again()
	r.sign()
	r.clean()
	if text, err = os.ReadFile(r.file); err != nil || len(pieces(text)) != 3 {
		t.Errorf("%d checkpoints outside (%v), want 3:\n%s", len(pieces(text)), err, text)
	}
}

func truncate(t *testing.T, path string, to int64) {
	t.Helper()
	if err := os.Truncate(path, to); err != nil {
		t.Fatal(err)
	}
}

// A log that goes away for a while is waited for.
type flaky struct {
	*disk.Log
	away bool
}

func (f *flaky) Append(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
	at, err := f.Log.Append(ctx, rs)
	if err == nil && f.away {
		return nil, fault.New(fault.Unavailable, "the answer is lost")
	}
	return at, err
}

// The contract lets a call be stored whole whose answer is Unavailable.
func TestACheckpointWhoseAnswerWasLostIsSignedOnce(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 5)
	f := &flaky{r.log, true}
	r.keep.Log = f
	if err := turn(t.Context(), r.keep); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("round = %v, want Unavailable", err)
	}
	f.away = false
	r.emit("orders", 5, 5)
	r.sign()
	if report := r.clean(); report.Checkpoints != 2 {
		t.Errorf("report = %+v, want the checkpoint whose answer was lost and one more", report)
	}
}

func TestNewRefuses(t *testing.T) {
	data := t.TempDir()
	log := &flaky{}
	for _, o := range []Options{
		{},
		{Log: log, Dir: filepath.Join(data, "audit")},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("New(%+v): want an error", o)
		}
	}
	for _, path := range []string{filepath.Join(data, "checkpoints"), filepath.Join(data, "audit", "checkpoints")} {
		if _, err := File(path, filepath.Join(data, "audit")); fault.KindOf(err) != fault.Invalid {
			t.Errorf("File(%s) = %v, want Invalid: it is in the data directory", path, err)
		}
	}
}

func TestTopicsThatAreLeftOutHaveNoTrees(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.topic(eventlog.Topic{Name: "noise", Partitions: 1})
	r.keep.Except = []string{"noise"}
	r.emit("orders", 0, 5)
	r.emit("noise", 0, 7)
	r.sign()
	if report := r.clean(); report.Records < 5 || report.Unhashed < 7 {
		t.Errorf("report = %+v, want 5 records of orders, and 7 that are not hashed", report)
	}
	if _, err := r.keep.Prove(t.Context(), eventlog.Position{Topic: "noise"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Prove of a topic that is left out: %v, want NotFound", err)
	}
}

// TestWhatNodesSayOfThemselvesIsNoNews: they do so every few seconds, in a cluster where nothing happens too.
func TestWhatNodesSayOfThemselvesIsNoNews(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.topic(eventlog.Topic{Name: function.TopicNodes, Partitions: 1})
	r.emit("orders", 0, 5)
	for i := range 3 {
		r.emit(function.TopicNodes, i, 1)
		r.sign()
	}
	if s := r.keep.State(); s.Checkpoint != 1 {
		t.Errorf("%d checkpoints, want 1: nothing has happened since", s.Checkpoint)
	}
	if report := r.clean(); report.Unhashed < 3 {
		t.Errorf("report = %+v, want that what nodes say is not hashed", report)
	}
	if _, err := r.keep.Prove(t.Context(), eventlog.Position{Topic: function.TopicNodes}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Prove of what a node says: %v, want NotFound", err)
	}
}

func TestCheckpointsBeyondWhatOneNamesComeAtOnce(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "wide", Partitions: 30})
	var rs []eventlog.Record
	for p := range int32(30) {
		rs = append(rs, eventlog.Record{Topic: "wide", Partition: p, Value: []byte("v")})
	}
	if _, err := r.log.Append(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	r.keep.most = 20
	r.sign()
	if s := r.keep.State(); s.Checkpoint != 2 || s.Trees != 30 {
		t.Errorf("State = %+v, want 30 trees in 2 checkpoints", s)
	}
	r.clean()
	r.again()
	if err := turn(t.Context(), r.keep); err != nil || r.keep.trouble != nil {
		t.Errorf("after a restart: %v, %v", err, r.keep.trouble)
	}
}

var errStop = errors.New("stop")

func (r *rig) recordAt(at eventlog.Position) *eventlog.Record {
	r.t.Helper()
	var found *eventlog.Record
	_, err := eventlog.ReadAll(r.t.Context(), r.log, eventlog.Partition{Topic: at.Topic, ID: at.Partition}, func(rec *eventlog.Record) error {
		if rec.Offset == at.Offset {
			found = rec
			return errStop
		}
		return nil
	})
	if found == nil {
		r.t.Fatalf("no record at %+v: %v", at, err)
	}
	return found
}

// The topic of checkpoints tells whoever listens to it.
func TestACheckpointIsAnEvent(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 1)
	r.sign()
	e := eventlog.EventOf(r.recordAt(eventlog.Position{Topic: function.TopicCheckpoints}))
	if e == nil || e.Type != event.TypeCheckpointSigned || !strings.HasPrefix(string(e.Data), checkpointKind+"\n1\n") {
		t.Errorf("event = %+v, want the signed text of checkpoint 1", e)
	}
}
