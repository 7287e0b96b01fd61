package chunk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const topic = "_dalamb.bodies"

func newStore(t *testing.T, partitions int32) Store {
	t.Helper()
	log, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: topic, Partitions: partitions, Compact: true}); err != nil {
		t.Fatal(err)
	}
	return Store{Log: log, Topic: topic}
}

// content is n bytes that differ from chunk to chunk.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>16 + i)
	}
	return b
}

func (s Store) mustAppend(t *testing.T, name string, b []byte) *function.Stored {
	t.Helper()
	at, err := s.Append(t.Context(), name, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWhatIsAppendedIsCopiedWhole(t *testing.T) {
	s := newStore(t, 3)
	for size, chunks := range map[int]int{0: 0, 1: 1, Size - 1: 1, Size: 1, Size + 1: 2, 3*Size + 7: 4} {
		want := content(size)
		at, err := s.Append(t.Context(), "n", iotest.HalfReader(bytes.NewReader(want)))
		if err != nil {
			t.Fatalf("Append of %d bytes: %v", size, err)
		}
		if at.Bytes != int64(size) || at.Chunks != chunks {
			t.Errorf("Append of %d bytes = %d bytes in %d chunks, want %d chunks", size, at.Bytes, at.Chunks, chunks)
		}
		var got bytes.Buffer
		if err := s.Copy(t.Context(), "n", *at, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("Copy of %d bytes = %d bytes, %v", size, got.Len(), err)
		}
	}
}

// TestChunksOfManyStandMixed appends several contents of one name into one partition at the same time.
func TestChunksOfManyStandMixed(t *testing.T) {
	s := newStore(t, 1)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			want := bytes.Repeat([]byte{byte('a' + i)}, 5*Size+i)
			at, err := s.Append(context.WithoutCancel(t.Context()), "same", bytes.NewReader(want))
			if err != nil {
				t.Error(err)
				return
			}
			var got bytes.Buffer
			if err := s.Copy(context.WithoutCancel(t.Context()), "same", *at, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("Copy of the %dth = %d bytes, %v; want %d of its own", i, got.Len(), err, len(want))
			}
		})
	}
	wg.Wait()
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	s := newStore(t, 1)
	at := s.mustAppend(t, "n", content(2*Size))
	more, other := *at, *at
	more.Chunks++
	other.ID = "SOMEBODYELSE"
	for name, c := range map[string]struct {
		name string
		at   function.Stored
	}{"a chunk too many": {"n", more}, "another id": {"n", other}, "another name": {"m", *at}} {
		if err := s.Copy(t.Context(), c.name, c.at, io.Discard); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: Copy = %v, want NotFound", name, err)
		}
	}
}

func TestAContentThatFailsIsNotStored(t *testing.T) {
	s := newStore(t, 1)
	broken := errors.New("the client has gone")
	at, err := s.Append(t.Context(), "n", io.MultiReader(bytes.NewReader(content(Size+9)), iotest.ErrReader(broken)))
	if at != nil || !errors.Is(err, broken) {
		t.Errorf("Append = %v, %v; want the reader's error", at, err)
	}
}

func TestASweepTakesWhatNobodyNeeds(t *testing.T) {
	s := newStore(t, 2)
	kept, left := s.mustAppend(t, "kept", content(Size+1)), s.mustAppend(t, "left", content(Size+1))
	what := Sweep{Before: time.Now().Add(time.Minute), Kept: func(id string) bool { return id == kept.ID }}
	for name, c := range map[string]Sweep{
		"all are young":       {Before: time.Now().Add(-time.Hour), Kept: what.Kept},
		"another node's part": {Before: what.Before, Kept: what.Kept, Mine: func(p int32) bool { return p != left.Partition }},
	} {
		if n, err := s.Sweep(t.Context(), c); n != 0 || err != nil {
			t.Errorf("%s: Sweep = %d, %v; want nothing removed", name, n, err)
		}
	}
	if n, err := s.Sweep(t.Context(), what); n != left.Chunks || err != nil {
		t.Errorf("Sweep = %d, %v; want the %d chunks that nobody needs", n, err, left.Chunks)
	}
	if err := s.Copy(t.Context(), "kept", *kept, io.Discard); err != nil {
		t.Errorf("Copy of what is needed = %v", err)
	}
	if n, err := s.Sweep(t.Context(), what); n != 0 || err != nil {
		t.Errorf("Sweep again = %d, %v; want nothing left to remove", n, err)
	}
}

// plain is a log that compacts in its own time.
type plain struct{ eventlog.Log }

// TestASweepGoesOnUntilTheRoomIsFree is of both kinds of log.
func TestASweepGoesOnUntilTheRoomIsFree(t *testing.T) {
	s := newStore(t, 2)
	sizer := s.Log.(eventlog.Sizer)
	what := Sweep{Before: time.Now().Add(time.Minute), Kept: func(string) bool { return false }}
	sweep := func(s Store, want int) {
		t.Helper()
		if n, err := s.Sweep(t.Context(), what); n != want || err != nil {
			t.Fatalf("Sweep = %d, %v; want %d", n, err, want)
		}
	}
	ends := func() (n int64) {
		t.Helper()
		for id := range int32(2) {
			b, err := s.Log.Bounds(t.Context(), eventlog.Partition{Topic: topic, ID: id})
			if err != nil {
				t.Fatal(err)
			}
			n += b.End
		}
		return n
	}
	s.mustAppend(t, "n", content(2*Size))
	slow := Store{Log: plain{s.Log}, Topic: topic}
	sweep(slow, 2)
	before := ends()
	sweep(slow, 0)
	if n := ends() - before; n != 1 {
		t.Errorf("a sweep appended %d records to the one partition that was not compacted since the last, want 1", n)
	}

	sweep(s, 0)
	if n, err := sizer.Size(t.Context(), topic); err != nil || n > 10_000 {
		t.Errorf("after Sweep the topic takes %d bytes, %v; want a few tombstones", n, err)
	}
	before = ends()
	sweep(s, 0)
	sweep(slow, 0)
	if n := ends() - before; n != 0 {
		t.Errorf("sweeps appended %d records where nothing takes room, want none", n)
	}
}

func TestIDOfAKey(t *testing.T) {
	if id, ok := ID(key("sha256:00", "ABC", 7)); id != "ABC" || !ok {
		t.Errorf("ID = %q, %v", id, ok)
	}
	for _, wrong := range []string{"", "a/b", strings.Repeat("/", 3)} {
		if id, ok := ID([]byte(wrong)); ok {
			t.Errorf("ID(%q) = %q, want none", wrong, id)
		}
	}
}
