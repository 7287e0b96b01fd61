package disk_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/need"
)

// A real disk hardly larger than the reserve: fast writers do not fill it, a topic's smaller bound brings events back
// within seconds, and the log stops whole.
func TestSmallDisk(t *testing.T) {
	need.Root(t) // to mount a small disk
	for _, size := range []int{300, 400} {
		t.Run(fmt.Sprintf("%d MiB", size), func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
				need.That(t, false, fmt.Sprintf("to mount a tmpfs (%v)", err))
			}
			defer func() {
				if err := syscall.Unmount(dir, 0); err != nil {
					t.Errorf("unmount: %v", err)
				}
			}()
			said := &notes{}
			l, err := disk.Open(disk.Options{Dir: dir + "/log", Log: slog.New(slog.NewTextHandler(said, nil))})
			if err != nil {
				t.Fatal(err)
			}
			newTopic(t, l, eventlog.Topic{Name: "events", Partitions: 8})
			var writers sync.WaitGroup
			for range 4 {
				writers.Go(func() {
					for {
						if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "events", Partition: eventlog.AnyPartition, Value: noise(900_000)}}); err != nil {
							t.Logf("refused: %v", err)
							return
						}
						if left := available(t, dir); left < 128*mib {
							t.Errorf("%d MiB are left while events are taken", left/mib)
							return
						}
					}
				})
			}
			writers.Wait()
			t.Logf("%d MiB are left", available(t, dir)/mib)

			bound := int64(mib)
			if err := l.AlterTopic(t.Context(), "events", eventlog.TopicChange{MaxBytes: &bound}); err != nil {
				t.Errorf("AlterTopic() = %v", err)
			}
			began := time.Now()
			for {
				_, err := l.Append(t.Context(), []eventlog.Record{{Topic: "events", Value: noise(900_000)}})
				if err == nil {
					break
				}
				if time.Since(began) > 30*time.Second {
					t.Fatalf("Append() %s after the bound was set = %v", time.Since(began), err)
				}
			}
			t.Logf("events are taken again after %s, %d MiB are left", time.Since(began), available(t, dir)/mib)
			if err := l.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
			if strings.Contains(said.String(), "no space left") {
				t.Errorf("the disk was full:\n%s", said)
			}
		})
	}
}

func available(t *testing.T, dir string) uint64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Error(err)
	}
	return s.Bavail * uint64(s.Bsize)
}
