package codeshare

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/chunk"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
)

// common is a real log that says that others have it open too.
type common struct{ eventlog.Log }

func (common) Shared() bool { return true }

func newLog(t *testing.T) eventlog.Log {
	t.Helper()
	log, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicCode, Partitions: 2, Compact: true}); err != nil {
		t.Fatal(err)
	}
	return log
}

// versions is a catalog.
type versions struct {
	mu      sync.Mutex
	list    []*function.Version
	changed chan struct{}
}

func newVersions() *versions { return &versions{changed: make(chan struct{})} }

func (v *versions) Wanted() ([]*function.Version, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.list, v.changed
}

func (v *versions) Stored(digest string) *function.Stored {
	list, _ := v.Wanted()
	for _, one := range list {
		if one.Code == digest {
			return one.Stored
		}
	}
	return nil
}

func (v *versions) deploy(digest string, at *function.Stored) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.list = append(v.list, &function.Version{Code: digest, Stored: at})
	close(v.changed)
	v.changed = make(chan struct{})
}

func newStore(t *testing.T, log eventlog.Log, v Versions) *Store {
	t.Helper()
	local, err := image.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Log: log, Local: local, Versions: v, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores a directory of several chunks.
func put(t *testing.T, s *Store) (digest string, content []byte) {
	t.Helper()
	dir := t.TempDir()
	content = make([]byte, 3*chunk.Size+17)
	rand.Read(content)
	for name, data := range map[string][]byte{"large": content, "main.py": []byte("print()")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var archive bytes.Buffer
	if _, err := image.Pack(dir, &archive); err != nil {
		t.Fatal(err)
	}
	digest, err := s.Put(t.Context(), &archive)
	if err != nil {
		t.Fatal(err)
	}
	return digest, content
}

func share(t *testing.T, s *Store, digest string) *function.Stored {
	t.Helper()
	at, err := s.Share(t.Context(), digest)
	if err != nil || at == nil {
		t.Fatalf("Share = %v, %v, want where it stands", at, err)
	}
	return at
}

func TestAnotherNodeGetsTheCode(t *testing.T) {
	log, catalog := common{newLog(t)}, newVersions()
	a, b := newStore(t, log, catalog), newStore(t, log, catalog)
	digest, content := put(t, a)
	var atOnce sync.WaitGroup // others' chunks stand between
	for range 3 {
		atOnce.Go(func() {
			if _, err := a.Share(t.Context(), digest); err != nil {
				t.Errorf("Share = %v", err)
			}
		})
	}
	at := share(t, a, digest)
	atOnce.Wait()
	if at.Chunks != 4 {
		t.Errorf("%d chunks, want 4", at.Chunks)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	catalog.deploy(digest, at)
	dir, err := b.Dir(digest) // waits for the fetch that Run has begun, or makes one
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "large")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the code has changed on its way (%v)", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if again := share(t, b, digest); again.ID != at.ID {
		t.Error("code that a version has stored was stored again")
	}
}

func TestNodeAloneSharesNothing(t *testing.T) {
	log := newLog(t)
	s := newStore(t, log, newVersions())
	digest, _ := put(t, s)
	if at, err := s.Share(t.Context(), digest); at != nil || err != nil {
		t.Errorf("Share = %v, %v, want nothing", at, err)
	}
	for id := range int32(2) {
		if b, err := log.Bounds(t.Context(), eventlog.Partition{Topic: function.TopicCode, ID: id}); err != nil || b.End != 0 {
			t.Errorf("partition %d: bounds %v, %v, want it empty", id, b, err)
		}
	}
	if _, err := s.Dir("sha256:" + string(bytes.Repeat([]byte("0"), 64))); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Dir of unknown code = %v, want not found", err)
	}
}

// TestDamagedCodeIsRefused gives versions that point at the wrong place, or at chunks that are gone.
func TestDamagedCodeIsRefused(t *testing.T) {
	log, catalog := common{newLog(t)}, newVersions()
	a := newStore(t, log, catalog)
	digest, _ := put(t, a)
	at := share(t, a, digest)
	for name, spoil := range map[string]func(*function.Stored){
		"begins too late": func(at *function.Stored) { at.First++ },
		"fewer chunks":    func(at *function.Stored) { at.Chunks-- },
		"another's":       func(at *function.Stored) { at.ID = "x" },
		"no partition":    func(at *function.Stored) { at.Partition = 9 },
	} {
		wrong := *at
		spoil(&wrong)
		b := newStore(t, log, newVersions())
		if err := b.fetch(t.Context(), digest, wrong); err == nil {
			t.Errorf("%s: fetched", name)
		}
		if b.Has(digest) {
			t.Errorf("%s: the store has the digest", name)
		}
	}
}

func TestSweepRemovesWhatNoVersionUses(t *testing.T) {
	log, catalog := common{newLog(t)}, newVersions()
	old := aged{log}
	a := newStore(t, old, catalog)
	digest, _ := put(t, a)
	kept, left := share(t, a, digest), share(t, a, digest)
	used := []*function.Version{{Code: digest, Stored: kept}}
	for _, want := range []int{left.Chunks, 0} {
		if n, err := a.Sweep(t.Context(), used); err != nil || n != want {
			t.Errorf("Sweep = %d, %v, want %d chunks", n, err, want)
		}
	}
	if err := newStore(t, log, catalog).fetch(t.Context(), digest, *kept); err != nil {
		t.Errorf("what a version uses was swept: %v", err)
	}
	young := newStore(t, log, catalog)
	if n, err := young.Sweep(t.Context(), nil); err != nil || n != 0 {
		t.Errorf("Sweep of young code = %d, %v, want none", n, err)
	}
}

// aged is a log whose records all seem old.
type aged struct{ common }

func (a aged) OffsetAt(ctx context.Context, p eventlog.Partition, _ time.Time) (int64, error) {
	b, err := a.Bounds(ctx, p)
	return b.End, err
}
