package disk

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// indexed is a log with a partition of some blocks in it.
type indexed struct {
	*testing.T
	*Log
	o     Options
	ahead atomic.Int64 // nanoseconds by which the log's clock is ahead
}

func newIndexed(t *testing.T) *indexed {
	t.Helper()
	x := &indexed{T: t, o: Options{Dir: "log", FS: vfs.NewMem(), SweepEvery: time.Hour, FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }}}
	x.o.Now = func() time.Time { return time.Now().Add(time.Duration(x.ahead.Load())) }
	x.open()
	x.create(eventlog.Topic{Name: "x", Partitions: 1})
	t.Cleanup(func() { x.Close() })
	return x
}

func (x *indexed) open() {
	x.Helper()
	l, err := Open(x.o)
	if err != nil {
		x.Fatal(err)
	}
	x.Log = l
}

func (x *indexed) again() {
	x.Helper()
	if err := x.Close(); err != nil {
		x.Fatal(err)
	}
	x.open()
}

func (x *indexed) create(topic eventlog.Topic) {
	x.Helper()
	if err := x.CreateTopic(x.Context(), topic); err != nil {
		x.Fatal(err)
	}
}

// fill appends n records of a key and a type.
func (x *indexed) fill(topic string, n int, key, typ string) {
	x.Helper()
	rs := make([]eventlog.Record, n)
	for i := range rs {
		rs[i] = eventlog.Record{Topic: topic, Key: []byte(key), Value: []byte("v"), Headers: []eventlog.Header{{Name: "ce_type", Value: []byte(typ)}}}
	}
	if _, err := x.Append(x.Context(), rs); err != nil {
		x.Fatal(err)
	}
}

func (x *indexed) sweepAll() {
	x.Helper()
	if err := x.Sweep(x.Context()); err != nil {
		x.Fatal(err)
	}
}

// want says between what a search for a key, or for a type, has to read.
func (x *indexed) want(topic, key, typ string, ahead, back int64) {
	x.Helper()
	w := eventlog.Wanted{}
	if key != "" {
		w.Key = []byte(key)
	}
	if typ != "" {
		w.Type = func(got []byte) bool { return string(got) == typ }
	}
	p := eventlog.Partition{Topic: topic}
	b, err := x.Bounds(x.Context(), p)
	if err != nil {
		x.Fatal(err)
	}
	gotAhead, err := x.SkipAhead(x.Context(), p, b.Start, b.End, w)
	if err != nil {
		x.Fatal(err)
	}
	gotBack, err := x.SkipBack(x.Context(), p, b.Start, b.End, w)
	if err != nil {
		x.Fatal(err)
	}
	if gotAhead != ahead || gotBack != back {
		x.Errorf("a search of %s for key %q and type %q reads %d to %d, want %d to %d", topic, key, typ, gotAhead, gotBack, ahead, back)
	}
}

// digests counts the rows of digests.
func (x *indexed) digests() (n int) {
	x.Helper()
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowDigest}, UpperBound: []byte{rowDigest + 1}})
	if err != nil {
		x.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

const two = 2 * blockRecords

func TestSearchesPassBlocksByThatCannotFit(t *testing.T) {
	x := newIndexed(t)
	x.fill("x", blockRecords, "a", "often")
	x.fill("x", blockRecords, "b", "rare")
	x.fill("x", blockRecords, "a", "often")
	end := int64(3 * blockRecords)
	for range 2 {
		x.want("x", "a", "", 0, end)
		x.want("x", "b", "", blockRecords, two)
		x.want("x", "", "rare", blockRecords, two)
		x.want("x", "a", "rare", end, 0)
		x.want("x", "never", "", end, 0)
		x.want("x", "", "never", end, 0)
		x.again()
	}
	x.fill("x", 1, "c", "newest")
	x.want("x", "", "never", end, end+1) // what is not a whole block yet
	if _, err := x.SkipBack(t.Context(), eventlog.Partition{Topic: "none"}, 0, 9, eventlog.Wanted{Key: []byte("a")}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("SkipBack in a topic that is not there = %v, want not found", err)
	}
}

// What has too many types, or some that only a reader of the value knows, can be of any.
func TestABlockOfManyTypesCanBeOfAny(t *testing.T) {
	x := newIndexed(t)
	for n := range typesMost + 1 {
		x.fill("x", 1, "a", fmt.Sprint("type-", n))
	}
	x.fill("x", blockRecords-typesMost-1, "a", "often")
	if _, err := x.Append(t.Context(), []eventlog.Record{{Topic: "x", Value: []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	x.fill("x", blockRecords-1, "a", "often")
	x.want("x", "", "never", 0, two)
	x.want("x", "never", "", two, 0)
}

// A block in which the log was opened, and those that an older dalamb wrote, get their digests afterwards.
func TestDigestsAreMadeAfterwards(t *testing.T) {
	x := newIndexed(t)
	x.fill("x", two, "a", "often")
	lower, upper := span(rowDigest, x.topics["x"].number)
	if err := x.db.DeleteRange(lower, upper, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	x.fill("x", blockRecords/2, "a", "often")
	x.again()
	x.fill("x", blockRecords/2, "a", "often")
	end := int64(3 * blockRecords)
	x.want("x", "b", "", 0, end)
	if err := x.sweep(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	x.want("x", "b", "", end, 0)
	x.want("x", "", "never", end, 0)
	x.want("x", "a", "often", 0, end)
	if n := x.digests(); n != 6 {
		t.Errorf("there are %d rows of digests, want 6", n)
	}
	x.sweepAll()
	x.want("x", "b", "", end, 0)
}

// Sweeps make digests of as many bytes as they are given, also of a block that has more, and of none while room is low.
func TestDigestsAreMadeOfSoManyBytesAtATime(t *testing.T) {
	x := newIndexed(t)
	rs := make([]eventlog.Record, two)
	for i := range rs {
		rs[i] = eventlog.Record{Topic: "x", Key: []byte("a"), Value: make([]byte, 500)}
	}
	if _, err := x.Append(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	lower, upper := span(rowDigest, x.topics["x"].number)
	if err := x.db.DeleteRange(lower, upper, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	x.space.Store(uint32(eventlog.SpaceLow))
	if err := x.makeDigests(t.Context(), 1<<30); err != nil || x.digests() != 0 {
		t.Errorf("makeDigests while room is low = %v, and there are %d rows", err, x.digests())
	}
	x.space.Store(uint32(eventlog.SpaceOK))
	const most = 1 << 20
	calls := int(x.topics["x"].partitions[0].bytes.Load()+most-1) / most
	for n := range calls {
		if got := x.digests(); got != n*2/calls*2 {
			t.Errorf("after %d of %d sweeps there are %d rows", n, calls, got)
		}
		if err := x.makeDigests(t.Context(), most); err != nil {
			t.Fatal(err)
		}
	}
	if got := x.digests(); got != 4 || x.begun != nil {
		t.Errorf("after all sweeps there are %d rows, want 4, and begun is %v", got, x.begun)
	}
	x.want("x", "a", "", 0, two)
	x.want("x", "b", "", two, 0)
}

// What is to be removed, or erased, does not wait until digests are made.
func TestNothingThatIsRemovedWaitsForDigests(t *testing.T) {
	x := newIndexed(t)
	x.create(eventlog.Topic{Name: "old", Partitions: 1, Retention: time.Hour})
	x.create(eventlog.Topic{Name: "compacted", Partitions: 1, Compact: true})
	x.fill("old", 10, "a", "t")
	x.ahead.Store(int64(2 * time.Hour))
	x.Log.digests <- struct{}{} // as if some were being made
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	swept := make(chan error, 1)
	go func() { swept <- x.sweep(ctx, false) }()
	for x.seen(x.topics["old"].partitions[0]).Start < 10 && ctx.Err() == nil {
		runtime.Gosched()
	}
	if ctx.Err() != nil {
		t.Error("what is too old is not removed")
	}
	if err := x.Erase(ctx, "compacted"); err != nil {
		t.Errorf("Erase = %v", err)
	}
	cancel()
	if err := <-swept; !errors.Is(err, context.Canceled) {
		t.Errorf("the sweep ended with %v, want that it waited", err)
	}
	<-x.Log.digests
}

// One call passes by a bounded stretch, so that who searches can look at the time.
func TestOneSkipPassesSoManyBlocks(t *testing.T) {
	x := newIndexed(t)
	const blocks = 3 * skipBlocks / 2
	b := x.db.NewBatch()
	for n := range int64(blocks) {
		row := digestKey(x.topics["x"].number, 0, digestKeys, n)
		if err := b.Set(row, (*keySet)(nil).encode(row), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
	const end, some = blocks * blockRecords, skipBlocks * blockRecords
	p, w := eventlog.Partition{Topic: "x"}, eventlog.Wanted{Key: []byte("never")}
	ahead, back := int64(0), int64(end)
	for i, want := range [][2]int64{{some, end - some}, {end, 0}} {
		var err, err2 error
		ahead, err = x.SkipAhead(t.Context(), p, ahead, end, w)
		back, err2 = x.SkipBack(t.Context(), p, 0, back, w)
		if err != nil || err2 != nil || ahead != want[0] || back != want[1] {
			t.Errorf("call %d comes to %d and %d, %v, %v; want %d and %d", i+1, ahead, back, err, err2, want[0], want[1])
		}
	}
}

// Digests go with what they are of: with what retention takes, with a topic, and where an older dalamb has left them.
func TestDigestsGoWithTheirRecords(t *testing.T) {
	x := newIndexed(t)
	x.create(eventlog.Topic{Name: "old", Partitions: 1, Retention: time.Hour})
	x.create(eventlog.Topic{Name: "compacted", Partitions: 1, Compact: true})
	x.fill("compacted", blockRecords, "a", "t")
	x.fill("old", blockRecords+10, "a", "t")
	x.fill("x", blockRecords, "a", "t")
	if n := x.digests(); n != 4 {
		t.Errorf("there are %d rows of digests, want those of two blocks, and none of a compacted topic", n)
	}
	x.sweepAll() // knows then that there is nothing left over from before
	x.ahead.Store(int64(2 * time.Hour))
	x.fill("old", blockRecords-10, "b", "t")
	x.sweepAll() // takes the first block and 10 records of the second
	if n := x.digests(); n != 2 {
		t.Errorf("there are %d rows of digests after retention, want those of x", n)
	}
	x.want("old", "never", "", blockRecords+10, two)

	row := digestKey(x.topics["old"].number, 0, digestTypes, 0)
	if err := x.db.Set(row, (&typeSet{}).encode(row), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	row = digestKey(1000, 0, digestKeys, 3)
	if err := x.db.Set(row, (*keySet)(nil).encode(row), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	x.again()
	x.sweepAll()
	if n := x.digests(); n != 2 {
		t.Errorf("there are %d rows of digests, want those of x and no leftovers", n)
	}
	if err := x.DeleteTopic(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if n := x.digests(); n != 0 {
		t.Errorf("there are %d rows of digests of a topic that was deleted", n)
	}
}

// A block of which some records went before it was whole has no digest: they would be in it.
func TestABlockThatLostRecordsHasNoDigest(t *testing.T) {
	x := newIndexed(t)
	x.fill("x", 10, "a", "t")
	p := x.topics["x"].partitions[0]
	if err := x.do(t.Context(), &removal{log: x.Log, p: p, start: 5}); err != nil {
		t.Fatal(err)
	}
	x.fill("x", blockRecords-10, "b", "t")
	if err := x.do(t.Context(), &digesting{log: x.Log, p: p}); err != nil { // as by a sweep that had read it before
		t.Fatal(err)
	}
	if n := x.digests(); n != 0 {
		t.Errorf("there are %d rows of digests, want none", n)
	}
	x.sweepAll()
	if n := x.digests(); n != 0 {
		t.Errorf("there are %d rows of digests after a sweep, want none", n)
	}
}

// No byte of a digest can be changed so that it hides an event.
func TestADamagedDigestHidesNothing(t *testing.T) {
	x := newIndexed(t)
	x.fill("x", blockRecords, "a", "t")
	number := x.topics["x"].number
	for _, kind := range []byte{digestTypes, digestKeys} {
		row := digestKey(number, 0, kind, 0)
		good, closer, err := x.db.Get(row)
		if err != nil {
			t.Fatal(err)
		}
		good = append([]byte(nil), good...)
		closer.Close()
		key, typ := "", "never"
		if kind == digestKeys {
			key, typ = "never", ""
		}
		x.want("x", key, typ, blockRecords, 0)
		other := digestKey(number, 0, kind, 1) // that of another block, which is whole
		bad := [][]byte{{}, good[:1], good[:len(good)-1], append(append([]byte(nil), good...), 0), kindOf(kind, other)}
		for i := range good {
			if i > 20 && i < len(good)-20 && i%97 != 0 {
				continue
			}
			flipped := append([]byte(nil), good...)
			flipped[i] ^= 1 << (i % 8)
			bad = append(bad, flipped)
		}
		for _, b := range bad {
			if err := x.db.Set(row, b, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
			x.want("x", key, typ, 0, blockRecords)
		}
		if err := x.db.Set(row, good, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		x.want("x", key, typ, blockRecords, 0)
	}
}

// kindOf is an empty digest for a row.
func kindOf(kind byte, row []byte) []byte {
	if kind == digestTypes {
		return (&typeSet{}).encode(row)
	}
	return (*keySet)(nil).encode(row)
}

// The bytes of version 1: who changes them makes another one, or what is stored hides what it does not know.
func TestDigestFormat(t *testing.T) {
	if got, want := fmt.Sprintf("%x", digestKey(1, 2, digestKeys, 3)), "07000000010000000202"+"0000000000000003"; got != want {
		t.Errorf("digestKey() = %s, want %s", got, want)
	}
	var types typeSet
	types.add([]byte("t"), true)
	if got, want := fmt.Sprintf("%x", types.encode([]byte("row"))), "01010174"+"0b393785"; got != want {
		t.Errorf("types are %s, want %s", got, want)
	}
	var bits []uint32
	h := hashKey([]byte("k"))
	for probe := range uint32(keyProbes) {
		at, mask := h.bit(probe)
		bits = append(bits, at*1000+uint32(mask))
	}
	if got, want := fmt.Sprint(bits), "[3940064 2737004 1533064 330004 4246064 3043004 1839064]"; got != want {
		t.Errorf("the bits of a key are %s, want %s", got, want)
	}
}

func TestFewKeysThatAreNotThereAreTakenForThere(t *testing.T) {
	var s keySet
	for i := range blockRecords {
		s.add(hashKey(fmt.Append(nil, "key-", i)))
	}
	wrong := 0
	for i := range blockRecords {
		if !s.mayHave(hashKey(fmt.Append(nil, "key-", i))) {
			t.Fatalf("key-%d is not there", i)
		}
		if s.mayHave(hashKey(fmt.Append(nil, "other-", i))) {
			wrong++
		}
	}
	if wrong > blockRecords/50 {
		t.Errorf("%d of %d keys are taken for there, want one in a hundred", wrong, blockRecords)
	}
}

// BenchmarkDigest is what an event's part in the digest of its block costs the committer.
func BenchmarkDigest(b *testing.B) {
	l, err := Open(Options{Dir: "log", FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	p := newPartition(&topic{}, 0)
	batch := l.db.NewBatch()
	g := &group{batch: batch}
	headers := []eventlog.Header{
		{Name: "ce_specversion", Value: []byte("1.0")}, {Name: "ce_id", Value: []byte("0192f0c4-7b3e-7cc1-9f2e-1b2c3d4e5f60")}, {Name: "ce_source", Value: []byte("/shop")},
		{Name: "ce_type", Value: []byte("com.example.order.created")}, {Name: "ce_subject"}, {Name: "ce_time"}, {Name: "content-type", Value: []byte("application/json")},
	}
	var rs []eventlog.Record
	for i := range 1000 {
		rs = append(rs, eventlog.Record{Key: fmt.Append(nil, "order-", i*7919), Headers: headers})
	}
	for i := 0; b.Loop(); i++ {
		p.digest(g, &rs[i%len(rs)])
		if p.w.next++; p.w.next%blockRecords == 0 {
			batch.Reset()
		}
	}
}

// BenchmarkAppendWithDigests prints the CPU time of appending events, a hundred in a call, over that of appending them where no digests are kept, as a
// compacted topic has none. ns/op means nothing here.
func BenchmarkAppendWithDigests(b *testing.B) {
	const turns, calls, batch = 20, 50, 100
	l, err := Open(Options{Dir: b.TempDir(), SweepEvery: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	topics := []eventlog.Topic{{Name: "with", Retention: eventlog.Forever, MaxBytes: eventlog.Forever}, {Name: "without", Compact: true}}
	for _, t := range topics {
		if err := l.CreateTopic(b.Context(), t); err != nil {
			b.Fatal(err)
		}
	}
	value, next := make([]byte, 380), 0
	spent := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	var took [2]time.Duration
	for range b.N {
		for turn := range turns * len(topics) {
			t := (turn + turn/2) % 2 // neither is always the first
			records := make([]eventlog.Record, 0, batch)
			before := spent()
			for range calls {
				records = records[:0]
				for range batch {
					next++
					records = append(records, eventlog.FromEvent(topics[t].Name, &event.Event{
						ID: fmt.Sprint(next), Source: "/bench", Type: "com.example.order.created", Subject: fmt.Sprint("o-", next%100_000), Data: value, DataContentType: "text/plain",
					}))
				}
				if _, err := l.Append(b.Context(), records); err != nil {
					b.Fatal(err)
				}
			}
			took[t] += spent() - before
		}
	}
	events := float64(b.N * turns * calls * batch)
	b.ReportMetric(float64(took[0])/events, "cpu-ns/event")
	b.ReportMetric(float64(took[1])/events, "cpu-ns/event-without")
	b.ReportMetric(float64(took[0])/float64(took[1]), "of-without")
}
