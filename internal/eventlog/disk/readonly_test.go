package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// mounted is a file system that was mounted to be read.
type mounted struct {
	vfs.FS
	t *testing.T
}

func (m mounted) refuse(what, name string) error {
	m.t.Logf("refused: %s %s", what, name)
	return &os.PathError{Op: what, Path: name, Err: syscall.EROFS}
}

func (m mounted) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, m.refuse("create", name)
}
func (m mounted) Lock(name string) (io.Closer, error)       { return nil, m.refuse("lock", name) }
func (m mounted) MkdirAll(name string, _ os.FileMode) error { return m.refuse("mkdir", name) }
func (m mounted) Remove(name string) error                  { return m.refuse("remove", name) }
func (m mounted) RemoveAll(name string) error               { return m.refuse("remove", name) }
func (m mounted) Rename(from, _ string) error               { return m.refuse("rename", from) }
func (m mounted) Link(from, _ string) error                 { return m.refuse("link", from) }
func (m mounted) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return nil, m.refuse("open to write", name)
}
func (m mounted) ReuseForWrite(from, _ string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, m.refuse("reuse", from)
}

// files are all below a directory, with what is in them.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A log is read where nothing can be written: as a node that was killed left it, and as one that stopped did.
func TestALogIsReadWhereNothingCanBeWritten(t *testing.T) {
	for _, killed := range []bool{true, false} {
		dir := t.TempDir()
		l, err := Open(Options{Dir: filepath.Join(dir, "log")})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: "orders", Partitions: 1}); err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "orders", Key: []byte{byte(i)}, Value: []byte("v")}}); err != nil {
				t.Fatal(err)
			}
		}
		copied := filepath.Join(dir, "copied")
		if killed { // what is on the disk now is what a kill leaves
			if err := os.CopyFS(copied, os.DirFS(filepath.Join(dir, "log"))); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !killed {
			copied = filepath.Join(dir, "log")
		}
		before := filesBelow(t, copied)
		r, err := Open(Options{Dir: copied, ReadOnly: true, FS: mounted{vfs.Default, t}})
		if err != nil {
			t.Fatalf("killed %v: %v", killed, err)
		}
		rs, err := r.Read(t.Context(), eventlog.Partition{Topic: "orders"}, 0, eventlog.ReadOptions{NoWait: true})
		if err != nil || len(rs) != 50 {
			t.Errorf("killed %v: %d records, %v, want 50", killed, len(rs), err)
		}
		if _, err := r.Append(t.Context(), []eventlog.Record{{Topic: "orders", Value: []byte("v")}}); fault.KindOf(err) != fault.Denied {
			t.Errorf("Append = %v, want Denied", err)
		}
		if err := r.CreateTopic(t.Context(), eventlog.Topic{Name: "more", Partitions: 1}); fault.KindOf(err) != fault.Denied {
			t.Errorf("CreateTopic = %v, want Denied", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		after := filesBelow(t, copied)
		if len(after) != len(before) {
			t.Errorf("killed %v: %d files, and %d before", killed, len(after), len(before))
		}
		for path, text := range before {
			if after[path] != text {
				t.Errorf("killed %v: %s was changed", killed, path)
			}
		}
	}
}

// scarce is a file system of a machine that does not open tables.
type scarce struct {
	vfs.FS
	err error
}

func (s scarce) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		return nil, &os.PathError{Op: "open", Path: name, Err: s.err}
	}
	return s.FS.Open(name, o...)
}

// What a machine does not give is not called damaged, which people would take for somebody's work.
func TestALogThatAMachineDoesNotGiveIsNotDamaged(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: "orders", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	if err := l.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, no := range []syscall.Errno{syscall.EMFILE, syscall.EIO} {
		_, err := Open(Options{Dir: dir, ReadOnly: true, FS: scarce{vfs.Default, no}})
		var damaged *DamagedError
		if err == nil || errors.As(err, &damaged) || fault.KindOf(err) != fault.Unavailable || !errors.Is(err, no) {
			t.Errorf("Open = %v, want that %v is why it is not available", err, no)
		}
	}
}

// Who only reads keeps a node away for so long, and is kept away by one.
func TestALogThatIsReadIsNotOpenedToWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if _, err := Open(Options{Dir: dir, ReadOnly: true}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Open to read where nothing is = %v, want NotFound", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, ReadOnly: true}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Open to read what a node has = %v, want Conflict", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(Options{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Open of what is read = %v, want Conflict", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
