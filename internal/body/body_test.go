package body

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/chunk"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// aged is a log whose records seem as old as a test wants, and which has as much room.
type aged struct {
	*disk.Log
	young bool
	space eventlog.Space
}

func (a *aged) OffsetAt(ctx context.Context, p eventlog.Partition, at time.Time) (int64, error) {
	if a.young {
		return a.Log.OffsetAt(ctx, p, at)
	}
	b, err := a.Bounds(ctx, p)
	return b.End, err
}

func (a *aged) Space() eventlog.Space { return a.space }

func newStore(t *testing.T, most int64) (*Store, *aged) {
	t.Helper()
	log, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	for _, topic := range []eventlog.Topic{
		{Name: function.TopicBodies, Partitions: 2, Compact: true}, {Name: function.TopicInvoke, Partitions: 2},
		{Name: function.TopicDelayed, Partitions: 2, Compact: true}, {Name: function.TopicDead, Partitions: 2, Compact: true},
	} {
		if err := log.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	l := &aged{Log: log}
	s, err := New(Options{Log: l, Most: most})
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

func put(t *testing.T, s *Store, length int) ([]byte, *function.StoredBody) {
	t.Helper()
	body := make([]byte, length)
	rand.Read(body)
	at, err := s.Put(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	return body, at
}

func TestABodyComesBackByteForByte(t *testing.T) {
	s, _ := newStore(t, 8<<20)
	for _, length := range []int{1, chunk.Size, 3*chunk.Size + 17} {
		body, at := put(t, s, length)
		for range 2 { // a retry is given it again
			got, free, err := s.Get(t.Context(), "pay", at)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("Get of %d bytes = %d bytes, %v, want what was stored", length, len(got), err)
			}
			free()
		}
	}
}

func TestABodyThatIsNotWhatWasStoredIsNeverGiven(t *testing.T) {
	s, _ := newStore(t, 4<<20)
	_, at := put(t, s, 2*chunk.Size+5)
	_, other := put(t, s, 2*chunk.Size+5)
	gone := func(at *function.StoredBody) { at.ID = strings.Repeat("A", nameLength) }
	for name, c := range map[string]struct {
		spoil func(*function.StoredBody)
		want  fault.Kind
	}{
		"another digest":  {func(at *function.StoredBody) { at.Digest = other.Digest }, fault.NotFound}, // its chunks have that in their keys
		"fewer chunks":    {func(at *function.StoredBody) { at.Chunks-- }, fault.Invalid},
		"fewer bytes":     {func(at *function.StoredBody) { at.Bytes-- }, fault.Invalid},
		"no chunks":       {func(at *function.StoredBody) { at.Chunks = 0 }, fault.Invalid},
		"negative length": {func(at *function.StoredBody) { at.Bytes = -1 }, fault.Invalid},
		"gone":            {gone, fault.NotFound},
		"no partition":    {func(at *function.StoredBody) { at.Partition = 9 }, fault.NotFound},
		"too long":        {func(at *function.StoredBody) { at.Bytes = 4<<20 + 1 }, fault.TooLarge},
	} {
		wrong := *at
		c.spoil(&wrong)
		if got, _, err := s.Get(t.Context(), "pay", &wrong); fault.KindOf(err) != c.want || got != nil {
			t.Errorf("%s: Get = %d bytes, %v, want %v", name, len(got), err, c.want)
		}
	}

	// Bytes that changed on the disk, or that somebody has written in their place.
	body := []byte("order 7")
	stored, err := s.chunks.Append(t.Context(), digestOf(body), bytes.NewReader([]byte("order 8")))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.Get(t.Context(), "pay", &function.StoredBody{Stored: *stored, Digest: digestOf(body)}); fault.KindOf(err) != fault.Invalid || got != nil {
		t.Errorf("Get of other bytes = %q, %v, want Invalid", got, err)
	}
	if !s.room.TryAcquire(s.held) {
		t.Error("what could not be given holds memory")
	}
}

func TestBodiesThatAreGivenOutHaveABound(t *testing.T) {
	s, _ := newStore(t, 4<<20)
	s.held = 1 << 20
	if !s.room.TryAcquire(heldMost - s.held) {
		t.Fatal("there is no room at all")
	}
	body, at := put(t, s, 700<<10)
	_, free, err := s.Get(t.Context(), "pay", at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Get(ctx, "pay", at); err == nil || fault.KindOf(err) == fault.NotFound || fault.KindOf(err) == fault.Invalid {
		t.Errorf("Get without room = %v, want to wait for it", err)
	}
	free()
	large, longer := put(t, s, 3<<20) // more than all may have
	for _, c := range []struct {
		want []byte
		at   *function.StoredBody
	}{{body, at}, {large, longer}} {
		got, free, err := s.Get(t.Context(), "pay", c.at)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Fatalf("Get = %d bytes, %v", len(got), err)
		}
		free()
	}
}

// A function that hangs with all that it may have leaves the others theirs.
func TestAFunctionHasItsPartOfTheMemory(t *testing.T) {
	s, _ := newStore(t, 4<<20)
	s.held = 4 << 20
	body, at := put(t, s, 700<<10)
	_, free, err := s.Get(t.Context(), "slow", at)
	if err != nil {
		t.Fatal(err)
	}
	if s.parts["slow"].room.TryAcquire(s.held / shares) {
		t.Error("the function's part is whole while it has a body")
	}
	got, freeOther, err := s.Get(t.Context(), "quick", at)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("Get for another function = %d bytes, %v", len(got), err)
	}
	freeOther()
	free()
	if len(s.parts) != 0 {
		t.Errorf("%d functions have parts that nobody uses", len(s.parts))
	}
}

// What clients send may look like any number of names.
func TestSweepRemembersNoNamesButThoseOfBodies(t *testing.T) {
	named := map[string]bool{strings.Repeat("A", nameLength): false}
	mark([]byte(strings.Repeat("B", nameLength)+"aa"+strings.Repeat("A", nameLength)+"/"+strings.Repeat("C", nameLength)), named)
	if len(named) != 1 || !named[strings.Repeat("A", nameLength)] {
		t.Errorf("named = %v, want the one body that is there", named)
	}
}

func TestNoBodyIsTakenWhereRoomIsShort(t *testing.T) {
	s, l := newStore(t, 4<<20)
	for _, space := range []eventlog.Space{eventlog.SpaceLow, eventlog.SpaceEmpty} {
		l.space = space
		if at, err := s.Put(t.Context(), make([]byte, 2<<20)); fault.KindOf(err) != fault.Unavailable || at != nil {
			t.Errorf("Put with space %d = %v, %v, want Unavailable", space, at, err)
		}
	}
	if err := s.each(t.Context(), function.TopicBodies, func(r *eventlog.Record) { t.Errorf("the log has %q of a body that was refused", r.Key) }); err != nil {
		t.Error(err)
	}
}

func TestSweepRemovesWhatNoRequestNames(t *testing.T) {
	s, l := newStore(t, 4<<20)
	put(t, s, chunk.Size+1)
	holders := map[string]*function.StoredBody{}
	for _, topic := range []string{function.TopicInvoke, function.TopicDelayed, function.TopicDead} {
		_, at := put(t, s, chunk.Size+1)
		holders[topic] = at
		value, err := json.Marshal(function.InvokeRequest{Request: &function.LateRequest{Target: "/", Stored: at}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: topic, Partition: eventlog.AnyPartition, Key: []byte(topic), Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, want int) {
		t.Helper()
		if n, err := s.Sweep(t.Context(), nil); err != nil || n != want {
			t.Errorf("%s: Sweep = %d, %v, want %d chunks", what, n, err, want)
		}
	}
	l.young = true
	check("what came within the hour", 0)
	l.young = false
	if n, err := s.Sweep(t.Context(), func(int32) bool { return false }); err != nil || n != 0 {
		t.Errorf("Sweep of a node that looks after nothing = %d, %v", n, err)
	}
	check("one that nothing names", 2)
	check("again", 0)
	for topic, at := range holders {
		_, free, err := s.Get(t.Context(), "pay", at)
		if err != nil {
			t.Fatalf("what %s names was swept: %v", topic, err)
		}
		free()
	}
	// As compaction does, in its own time, with a dead letter that is resolved.
	if err := l.DeleteTopic(t.Context(), function.TopicDead); err != nil {
		t.Fatal(err)
	}
	check("after the dead letter is gone", 2)
}
