package copier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const elsewhere = "kafka://elsewhere:9092"

// world is a log, another one, and a catalog.
type world struct {
	t       testing.TB
	log     *disk.Log
	other   *flaky
	catalog *catalog.Catalog
	copier  *Copier
	stop    func()
}

// flaky is a log whose commits fail when they are told to, with or without being stored.
type flaky struct {
	*disk.Log
	mu   sync.Mutex
	fail []bool // of the next commits that fail: whether they are stored
}

type flakyMember struct {
	eventlog.Member
	log *flaky
}

func (f *flaky) Close() error { return nil } // it is opened anew each time

func (f *flaky) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	m, err := f.Log.Join(ctx, o)
	return flakyMember{m, f}, err
}

func (m flakyMember) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	m.log.mu.Lock()
	fails, stored := len(m.log.fail) > 0, false
	if fails {
		stored, m.log.fail = m.log.fail[0], m.log.fail[1:]
	}
	m.log.mu.Unlock()
	if fails && !stored {
		return nil, fault.New(fault.Unavailable, "no")
	}
	ps, err := m.Member.Commit(ctx, t)
	if fails && err == nil {
		return nil, fault.New(fault.Unavailable, "who knows")
	}
	return ps, err
}

// logs knows one other log.
type logs struct{ other eventlog.Log }

func (l logs) Address(text string) (string, error) {
	if text != elsewhere {
		return "", fault.New(fault.Invalid, "no log is at %s", text)
	}
	return text, nil
}

func (l logs) Open(string) (eventlog.Log, error) { return l.other, nil }

func openDisk(t testing.TB) *disk.Log {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, log: openDisk(t), other: &flaky{Log: openDisk(t)}}
	for _, topic := range []eventlog.Topic{
		{Name: function.TopicControl, Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever},
		{Name: function.TopicJobs, Partitions: 1}, {Name: "orders", Partitions: 2},
	} {
		ok(t, w.log.CreateTopic(context.Background(), topic))
	}
	var err error
	w.catalog, err = catalog.New(catalog.Options{Log: w.log})
	ok(t, err)
	w.copier, err = New(Options{Log: w.log, Catalog: w.catalog, Logs: logs{w.other}})
	ok(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.catalog.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		ok(t, w.log.Close())
		ok(t, w.other.Log.Close())
	})
	t.Cleanup(w.stop)
	return w
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put appends events to a partition of orders, one by one.
func (w *world) put(partition int32, values ...string) {
	w.t.Helper()
	for _, v := range values {
		r := eventlog.Record{Topic: "orders", Partition: partition, Key: []byte("k-" + v), Value: []byte(v), Time: time.UnixMilli(1e12).UTC(), Headers: []eventlog.Header{{Name: "x", Value: []byte(v)}}}
		_, err := w.log.Append(context.Background(), []eventlog.Record{r})
		ok(w.t, err)
	}
}

// values lists what stands in a partition, and checks that records are whole.
func (w *world) values(log eventlog.Log, topic string, partition int32) string {
	w.t.Helper()
	rs, err := log.Read(context.Background(), eventlog.Partition{Topic: topic, ID: partition}, 0, eventlog.ReadOptions{NoWait: true, MaxRecords: 1e6, MaxBytes: 1 << 30})
	ok(w.t, err)
	var vs []string
	for _, r := range rs {
		v := string(r.Value)
		if string(r.Key) != "k-"+v || len(r.Headers) != 2 || r.Headers[0].Name != "x" || string(r.Headers[0].Value) != v || r.Time.UnixMilli() != 1e12 {
			w.t.Errorf("copied as %+v", r)
		}
		vs = append(vs, v)
	}
	return strings.Join(vs, " ")
}

func (w *world) want(log eventlog.Log, topic string, want ...string) {
	w.t.Helper()
	for id, v := range want {
		if got := w.values(log, topic, int32(id)); got != v {
			w.t.Errorf("%s/%d = %q, want %q", topic, id, got, v)
		}
	}
}

func (w *world) begin(one function.Copy) *catalog.Copy {
	w.t.Helper()
	c, err := w.copier.Start(context.Background(), one)
	ok(w.t, err)
	return c
}

// keep runs the duty until stop.
func (w *world) keep() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- w.copier.Keep(ctx, eventlog.Owned{Partition: eventlog.Partition{Topic: function.TopicJobs}})
	}()
	return func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Errorf("Keep = %v", err)
		}
	}
}

// over waits for the end of a copy.
func (w *world) over(name string) *catalog.Copy {
	w.t.Helper()
	for {
		changed := w.catalog.Changed()
		c, err := w.catalog.View().Copy(name)
		ok(w.t, err)
		if c.Ended != nil {
			return c
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			w.t.Fatalf("copy %s does not end", name)
		}
	}
}

func TestCopyInTheSameLogAndToAnother(t *testing.T) {
	for _, address := range []string{"", elsewhere} {
		w := newWorld(t)
		stop := w.keep()
		target := eventlog.Log(w.log)
		if address != "" {
			target = w.other
		}
		w.put(0, "a", "b", "c")
		w.put(1, "d")
		w.begin(function.Copy{Name: "one", From: "orders", To: "orders-2", Log: address})
		if c := w.over("one"); c.Ended.State != function.CopyFinished {
			t.Fatalf("ended as %+v", c.Ended)
		}
		w.want(target, "orders-2", "a b c", "d")

		// The same copy again goes on where the one before it stopped.
		w.put(1, "e")
		c := w.begin(function.Copy{Name: "two", From: "orders", To: "orders-2", Log: address})
		w.over("two")
		w.want(target, "orders-2", "a b c", "d e")
		if s, err := w.copier.State(t.Context(), c); err != nil || s != (State{Copied: 5}) {
			t.Errorf("State = %+v, %v, want 5 copied", s, err)
		}
		stop()
		w.stop()
	}
}

func TestFollow(t *testing.T) {
	w := newWorld(t)
	stop := w.keep()
	w.put(0, "a")
	one := w.begin(function.Copy{Name: "one", From: "orders", To: "orders", Log: elsewhere, Follow: true})
	w.put(0, "b")
	_, err := w.other.Read(t.Context(), eventlog.Partition{Topic: "orders"}, 1, eventlog.ReadOptions{}) // waits
	ok(t, err)
	stop()
	w.put(1, "c")
	stop = w.keep()
	_, err = w.other.Read(t.Context(), eventlog.Partition{Topic: "orders", ID: 1}, 0, eventlog.ReadOptions{})
	ok(t, err)
	w.want(w.other, "orders", "a b", "c")
	if s, err := w.copier.State(t.Context(), one); err != nil || s != (State{Copied: 3}) {
		t.Errorf("State = %+v, %v, want 3 copied", s, err)
	}
	ok(t, w.copier.Cancel(t.Context(), "one"))
	if err := w.copier.Cancel(t.Context(), "one"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("cancel again = %v, want conflict", err)
	}
	stop()
	w.put(0, "d")
	w.want(w.other, "orders", "a b", "c")
	if s, err := w.copier.State(t.Context(), one); err != nil || s != (State{Copied: 3, Behind: 1}) {
		t.Errorf("State = %+v, %v, want 3 copied and 1 behind", s, err)
	}
}

func TestATopicThatGrowsIsFollowed(t *testing.T) {
	w := newWorld(t)
	one := w.begin(function.Copy{Name: "one", From: "orders", To: "orders", Log: elsewhere, Follow: true})
	three := int32(3)
	ok(t, w.log.AlterTopic(t.Context(), "orders", eventlog.TopicChange{Partitions: &three}))
	w.put(2, "a")
	a := &attempt{Copier: w.copier, copy: one, target: w.other}
	ok(t, a.look(t.Context()))
	stop := w.keep()
	_, err := w.other.Read(t.Context(), eventlog.Partition{Topic: "orders", ID: 2}, 0, eventlog.ReadOptions{})
	ok(t, err)
	stop()
}

func TestWhatCannotBeCopied(t *testing.T) {
	w := newWorld(t)
	ok(t, w.other.CreateTopic(t.Context(), eventlog.Topic{Name: "narrow", Partitions: 1}))
	ok(t, w.other.CreateTopic(t.Context(), eventlog.Topic{Name: "wide", Partitions: 3}))
	for _, tt := range []struct {
		one  function.Copy
		kind fault.Kind
		want string
	}{
		{function.Copy{From: "order", To: "x"}, fault.NotFound, `"order"`},
		{function.Copy{From: "orders", To: "orders"}, fault.Invalid, "cannot be copied to itself"},
		{function.Copy{From: "orders", To: "narrow", Log: elsewhere}, fault.Conflict, `has 1 partitions, and topic "orders" has 2`},
		{function.Copy{From: "orders", To: "wide", Log: elsewhere}, fault.Conflict, `has 3 partitions, and topic "orders" has 2`},
		{function.Copy{From: "orders", To: "x", Log: "kafka://nowhere:1"}, fault.Invalid, "no log is at"},
	} {
		tt.one.Name = "one"
		if _, err := w.copier.Start(t.Context(), tt.one); fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Start(%+v) = %v, want %s with %q", tt.one, err, tt.kind, tt.want)
		}
	}
	w.begin(function.Copy{Name: "one", From: "orders", To: "x", Follow: true})
	for _, tt := range []struct{ name, to, want string }{{"two", "x", `already, by copy "one"`}, {"one", "y", `there is a copy "one" already`}} {
		if _, err := w.copier.Start(t.Context(), function.Copy{Name: tt.name, From: "orders", To: tt.to}); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Start(%s to %s) = %v, want conflict with %q", tt.name, tt.to, err, tt.want)
		}
	}
}

func TestACopyThatCannotGoOnSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.put(0, "a")
	w.begin(function.Copy{Name: "one", From: "orders", To: "x", Log: elsewhere})
	ok(t, w.other.DeleteTopic(t.Context(), "x"))
	stop := w.keep()
	if c := w.over("one"); c.Ended.State != function.CopyFailed || !strings.Contains(c.Ended.Reason, `"x"`) {
		t.Errorf("ended as %+v, want that there is no topic x", c.Ended)
	}
	stop()
	// A topic that is made again is another one, and is copied from its beginning.
	w.begin(function.Copy{Name: "two", From: "orders", To: "x", Log: elsewhere})
	stop = w.keep()
	w.over("two")
	stop()
	w.want(w.other, "x", "a", "")
}

// away is a log that does not answer at first.
type away struct {
	*flaky
	left *atomic.Int32
}

func (l away) Topics(ctx context.Context) ([]eventlog.Topic, error) {
	if l.left.Add(-1) >= 0 {
		return nil, fault.New(fault.Unavailable, "nobody answers")
	}
	return l.flaky.Topics(ctx)
}

func TestACopyWaitsForALogThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.put(0, "a")
	w.begin(function.Copy{Name: "one", From: "orders", To: "x", Log: elsewhere})
	log := away{w.other, new(atomic.Int32)}
	log.left.Store(1)
	var err error
	w.copier, err = New(Options{Log: w.log, Catalog: w.catalog, Logs: logs{log}})
	ok(t, err)
	w.other.fail = []bool{true, false} // and it goes away again
	stop := w.keep()
	if c := w.over("one"); c.Ended.State != function.CopyFinished {
		t.Errorf("ended as %+v", c.Ended)
	}
	stop()
	w.want(w.other, "x", "a", "")
	log.left.Store(1)
	if _, err := w.copier.Start(t.Context(), function.Copy{Name: "two", From: "orders", To: "x", Log: elsewhere}); fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) != "start that cluster, or correct the address" {
		t.Errorf("Start = %v (hint %q), want unavailable", err, fault.HintOf(err))
	}
}

// tight is a log that takes no large records, and few at a time.
type tight struct{ *flaky }

type tightMember struct{ eventlog.Member }

func (l tight) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	m, err := l.flaky.Join(ctx, o)
	return tightMember{m}, err
}

func (m tightMember) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	for _, r := range t.Records {
		if len(r.Value) > 100 || len(t.Records) > 5 {
			return nil, fault.New(fault.TooLarge, "too much")
		}
	}
	return m.Member.Commit(ctx, t)
}

func TestARecordThatIsTooLargeIsNamed(t *testing.T) {
	w := newWorld(t)
	var err error
	w.copier, err = New(Options{Log: w.log, Catalog: w.catalog, Logs: logs{tight{w.other}}})
	ok(t, err)
	many := strings.Fields(strings.Repeat("a b ", 10))
	w.put(0, append(many, strings.Repeat("c", 101), "d")...)
	w.begin(function.Copy{Name: "one", From: "orders", To: "x", Log: elsewhere})
	stop := w.keep()
	c := w.over("one")
	stop()
	if c.Ended.State != function.CopyFailed || !strings.Contains(c.Ended.Reason, "orders/0@20 is larger than topic x") {
		t.Errorf("ended as %+v, want what is too large", c.Ended)
	}
	w.want(w.other, "x", strings.Join(many, " "), "")
}

// Each event is copied once and in order, whatever fails and however often the owner changes, and each position is found again.
func TestEachEventIsCopiedOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer w.stop()
		var sent [2][]string
		begun := 0
		for i := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"put", "put", "own", "fail", "copy"}).Draw(rt, "step") {
			case "put":
				p := rapid.IntRange(0, 1).Draw(rt, "partition")
				for j := range rapid.IntRange(1, 5).Draw(rt, "events") {
					sent[p] = append(sent[p], fmt.Sprintf("%d.%d", i, j))
					w.put(int32(p), sent[p][len(sent[p])-1])
				}
			case "own": // another writer's record stands between
				if begun > 0 {
					_, err := w.other.Append(context.Background(), []eventlog.Record{{Topic: "x", Partition: 0, Value: []byte("own")}})
					ok(t, err)
				}
			case "fail":
				w.other.fail = append(w.other.fail, rapid.Bool().Draw(rt, "stored"))
			case "copy":
				begun++
				w.carryOut(fmt.Sprintf("c-%d", begun))
			}
		}
		w.other.fail = nil
		last := w.carryOut("last")
		for id := range sent {
			p := eventlog.Partition{Topic: "x", ID: int32(id)}
			rs, err := w.other.Read(context.Background(), p, 0, eventlog.ReadOptions{NoWait: true})
			ok(t, err)
			var got []string
			for _, r := range rs {
				from, copied := originOf(&r, last.FromID)
				if !copied {
					continue
				}
				got = append(got, string(r.Value))
				if at, err := translate(context.Background(), w.other, p, last.FromID, from+1); err != nil || at != r.Offset+1 {
					rt.Fatalf("what follows %d stands at %d, %v, want %d", from, at, err, r.Offset+1)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(sent[id]) {
				rt.Fatalf("partition %d has %v, want %v", id, got, sent[id])
			}
		}
	})
}

// carryOut begins a copy and tries it until it is done, as a new owner each time.
func (w *world) carryOut(name string) *catalog.Copy {
	w.t.Helper()
	one := w.begin(function.Copy{Name: name, From: "orders", To: "x", Log: elsewhere})
	for range 100 {
		err := w.copier.once(context.Background(), one)
		if err == nil {
			_, err = w.catalog.Submit(context.Background(), catalog.EndCopy{Name: name, State: function.CopyFinished})
			ok(w.t, err)
			return one
		}
		if !passing(err) {
			w.t.Fatal(err)
		}
	}
	w.t.Fatal("the copy does not end")
	return nil
}

func TestPlace(t *testing.T) {
	w := newWorld(t)
	w.put(0, "a", "b", "c")
	w.put(1, "d")
	w.carryOut("one")
	_, err := w.other.Append(t.Context(), []eventlog.Record{{Topic: "x", Partition: 0, Value: []byte("own")}})
	ok(t, err)
	w.put(0, "e", "f")
	one := w.carryOut("two")
	placed, err := w.copier.Place(t.Context(), one, "dalamb.f.t", map[int32]int64{0: 4, 1: 0})
	if err != nil || placed[0] != 5 || placed[1] != 0 {
		t.Errorf("Place = %v, %v, want 5 and 0", placed, err)
	}
	offsets, err := w.other.Offsets(t.Context(), "dalamb.f.t")
	if err != nil || len(offsets) != 2 || offsets[0].Offset != 5 || offsets[1].Offset != 0 {
		t.Errorf("Offsets = %v, %v, want what was placed", offsets, err)
	}
	w.put(0, "g")
	if _, err := w.copier.Place(t.Context(), one, "dalamb.f.t", map[int32]int64{0: 6}); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "has reached offset 5 of orders/0") {
		t.Errorf("Place of what is not copied = %v, want conflict", err)
	}
}

func FuzzDecodeProgress(f *testing.F) {
	r, err := progress{Next: 9, Copied: 7, Missed: 2}.record(&function.Copy{FromID: "a", ToID: "b"}, 3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Value)
	f.Add([]byte("\x01{\"next\":-1,\"copied\":0}"))
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := decodeProgress(value)
		if err != nil {
			return
		}
		again, err := p.record(&function.Copy{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := decodeProgress(again.Value); err != nil || q != p {
			t.Fatalf("%+v is decoded as %+v, %v", p, q, err)
		}
	})
}
