package disk_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
)

// contents are the files below dir with their bytes.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOtherFormatIsRefused(t *testing.T) {
	for _, c := range []struct{ name, format, want string }{
		{"newer", "dalamb eventlog format 7\n", "format 7, which is newer than format 1"},
		{"older", "dalamb eventlog format 0\n", "format 0, which is older than format 1"},
		{"nonsense", "hello", `it says "hello", this dalamb reads format 1`},
		{"missing", "", "without a FORMAT file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l := mustOpen(t, disk.Options{Dir: dir})
			newTopic(t, l, eventlog.Topic{Name: "x"})
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "FORMAT")
			if err := os.WriteFile(path, []byte(c.format), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.format == "" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			before := contents(t, dir)
			_, err := disk.Open(disk.Options{Dir: dir, FreeSpace: plenty})
			if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), c.want) || fault.HintOf(err) == "" {
				t.Errorf("Open() = %v (hint %q), want a conflict with %q and a hint", err, fault.HintOf(err), c.want)
			}
			if after := contents(t, dir); !maps.Equal(before, after) {
				t.Errorf("files changed: %v, before %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
			}
		})
	}
}

func wantInUse(t *testing.T, dir string, pid int) {
	t.Helper()
	_, err := disk.Open(disk.Options{Dir: dir, FreeSpace: plenty})
	host, herr := os.Hostname()
	if herr != nil {
		t.Fatal(herr)
	}
	want := "in use by process " + strconv.Itoa(pid) + " on " + host + " since 20"
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
		t.Errorf("Open(in use) = %v (hint %q), want a conflict with %q and a hint", err, fault.HintOf(err), want)
	}
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, disk.Options{Dir: dir})
	wantInUse(t, dir, os.Getpid())
	newTopic(t, l, eventlog.Topic{Name: "x"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, disk.Options{Dir: dir}).Close(); err != nil {
		t.Errorf("Close(after the first closed) = %v", err)
	}
}

func TestDirectoryInUseByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir, childLife+"=0")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(out)
	if !sc.Scan() {
		t.Fatal("child said nothing")
	}
	wantInUse(t, dir, child.Process.Pid)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for sc.Scan() {
	}
	// It was killed, so Wait has an error; that the lock is free then is what counts.
	child.Wait()
	if err := mustOpen(t, disk.Options{Dir: dir}).Close(); err != nil {
		t.Errorf("Close(after the holder was killed) = %v", err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refuse := func(kind errorfs.OpKind, err error) vfs.FS {
		return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == kind {
				return &fs.PathError{Op: "open", Path: op.Path, Err: err}
			}
			return nil
		}))
	}
	for _, c := range []struct {
		name string
		o    disk.Options
		kind fault.Kind
		want string
	}{
		{"none", disk.Options{}, fault.Invalid, "needs a directory"},
		{"a file", disk.Options{Dir: file}, fault.Denied, "is not a directory"},
		{"below a file", disk.Options{Dir: filepath.Join(file, "log")}, fault.Denied, "is not a directory"},
		{"not allowed to make it", disk.Options{Dir: "d", FS: refuse(errorfs.OpMkdirAll, syscall.EACCES)}, fault.Denied, "is not writable"},
		{"not allowed to write", disk.Options{Dir: "d", FS: refuse(errorfs.OpCreate, syscall.EACCES)}, fault.Denied, "is not writable"},
		{"not allowed to lock", disk.Options{Dir: "d", FS: refuse(errorfs.OpLock, syscall.EACCES)}, fault.Denied, "is not writable"},
		{"read-only file system", disk.Options{Dir: "d", FS: refuse(errorfs.OpCreate, syscall.EROFS)}, fault.Denied, "is not writable"},
		{"full", disk.Options{Dir: "d", FS: refuse(errorfs.OpCreate, syscall.ENOSPC)}, fault.Unavailable, "disk full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.FreeSpace = plenty
			_, err := disk.Open(c.o)
			if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open() = %v of kind %q, want kind %q with %q", err, fault.KindOf(err), c.kind, c.want)
			}
			if c.o.Dir != "" && fault.HintOf(err) == "" {
				t.Error("no hint")
			}
		})
	}
}

// The bounds of design.md section 7, at their edges.
func TestSpace(t *testing.T) {
	const gib = 1 << 30
	type answer struct {
		free, total uint64
		cause       error
	}
	var says atomic.Pointer[answer]
	says.Store(&answer{100 * gib, 200 * gib, nil})
	l := mustOpen(t, disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) {
		a := says.Load()
		return a.free, a.total, a.cause
	}})
	defer l.Close()
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	m := joinAll(t, l, "x")
	one := []eventlog.Record{{Topic: "x", Value: []byte("v")}}
	for _, c := range []struct {
		free, total uint64
		want        eventlog.Space
	}{
		{10*gib - 1, 200 * gib, eventlog.SpaceLow},
		{10 * gib, 200 * gib, eventlog.SpaceOK},
		{gib - 1, 2 * gib, eventlog.SpaceLow},
		{gib, 2 * gib, eventlog.SpaceOK},
		{256*mib + 1024, 2 * gib, eventlog.SpaceLow},
		{256*mib - 1, 2 * gib, eventlog.SpaceEmpty},
		{0, 2 * gib, eventlog.SpaceEmpty},
		{100 * gib, 200 * gib, eventlog.SpaceOK},
	} {
		says.Store(&answer{c.free, c.total, nil})
		if err := l.Sweep(t.Context()); err != nil {
			t.Fatalf("Sweep() = %v", err)
		}
		if got := l.Space(); got != c.want {
			t.Errorf("Space() with %d of %d = %d, want %d", c.free, c.total, got, c.want)
		}
		_, err := l.Append(t.Context(), one)
		if refused := err != nil; refused != (c.want == eventlog.SpaceEmpty) {
			t.Errorf("Append() with %d free = %v", c.free, err)
		}
		if err != nil && (fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "disk full")) {
			t.Errorf("Append() with %d free = %v, want unavailable, disk full", c.free, err)
		}
		if _, err := m.Commit(t.Context(), eventlog.Txn{Records: one}); err != nil {
			t.Errorf("Commit() with %d free = %v, want results to fit", c.free, err)
		}
	}
	cause := errors.New("no such disk")
	says.Store(&answer{cause: cause})
	if err := l.Sweep(t.Context()); !errors.Is(err, cause) {
		t.Errorf("Sweep(space unknown) = %v, want the cause", err)
	}
}

// Two logs in one process, each with metrics of its own; a closed one takes its metrics back.
func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	for range 2 {
		l := mustOpen(t, disk.Options{Dir: "log", FS: vfs.NewMem(), Metrics: r})
		newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1})
		if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x"}, {Topic: "x"}}); err != nil {
			t.Fatal(err)
		}
		if got := metric(t, r, "dalamb_log_records_total"); got != 2 {
			t.Errorf("dalamb_log_records_total = %v, want 2", got)
		}
		if got := metric(t, r, "dalamb_log_failed"); got != 0 {
			t.Errorf("dalamb_log_failed = %v, want 0", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func metric(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("metric %s is not there", name)
	return 0
}

// The log keeps to retention by itself.
func TestJanitor(t *testing.T) {
	c := &clock{}
	l := mustOpen(t, disk.Options{Dir: "log", FS: vfs.NewMem(), Now: c.now, SweepEvery: time.Millisecond})
	defer l.Close()
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1, Retention: time.Hour})
	if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x"}}); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		b, err := l.Bounds(ctx, eventlog.Partition{Topic: "x"})
		if err != nil || ctx.Err() != nil {
			t.Fatalf("Bounds() = %+v, %v, want the old record gone", b, err)
		}
		if b.Start == 1 {
			return
		}
		runtime.Gosched()
	}
}
