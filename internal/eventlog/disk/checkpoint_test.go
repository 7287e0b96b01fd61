package disk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
)

// TestACheckpointHasWhatWasAcknowledged takes checkpoints while writers write, and opens each as a log.
func TestACheckpointHasWhatWasAcknowledged(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	l := mustOpen(t, disk.Options{Dir: dir, FreeSpace: plenty}.WithSmallTables())
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	p := eventlog.Partition{Topic: "x"}

	writing, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for value := make([]byte, 3000); writing.Err() == nil; {
				if _, err := l.Append(ctx, []eventlog.Record{{Topic: "x", Value: value}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 5 {
		pos, err := l.Append(ctx, []eventlog.Record{{Topic: "x", Value: []byte("acknowledged")}})
		if err != nil {
			t.Fatal(err)
		}
		made, err := l.Checkpoint(ctx)
		if err != nil {
			t.Fatal(err)
		}
		after, err := l.Bounds(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		place := filepath.Join(t.TempDir(), "log")
		if err := os.CopyFS(place, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
		c := mustOpen(t, disk.Options{Dir: place, FreeSpace: plenty})
		rs, err := c.Read(ctx, p, pos[0].Offset, eventlog.ReadOptions{NoWait: true})
		if err != nil || len(rs) == 0 || string(rs[0].Value) != "acknowledged" {
			t.Errorf("checkpoint %d: Read(%d) = %d records, %v, want what was acknowledged first", i, pos[0].Offset, len(rs), err)
		}
		if b, err := c.Bounds(ctx, p); err != nil || b.End > after.End {
			t.Errorf("checkpoint %d ends at %d, %v, and the log at %d", i, b.End, err, after.End)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	writers.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, disk.Options{Dir: dir, FreeSpace: plenty})
	if _, err := os.Stat(filepath.Join(dir, "checkpoints")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after a start checkpoints are there still: %v", err)
	}
}

// TestACheckpointThatFailsHarmsNothing: an error of a checkpoint's own files is its maker's, and not the log's.
func TestACheckpointThatFailsHarmsNothing(t *testing.T) {
	refuse := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if filepath.Base(filepath.Dir(op.Path)) == "db" && filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(op.Path)))) == "checkpoints" && isWrite(op) {
			return errors.New("no")
		}
		return nil
	})
	l := mustOpen(t, disk.Options{Dir: "d", FS: errorfs.Wrap(vfs.NewMem(), refuse), FreeSpace: plenty})
	newTopic(t, l, eventlog.Topic{Name: "x"})
	if made, err := l.Checkpoint(t.Context()); err == nil {
		t.Fatalf("Checkpoint = %s, want an error", made)
	}
	if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x", Value: []byte("a")}}); err != nil {
		t.Errorf("Append after it: %v", err)
	}
}
