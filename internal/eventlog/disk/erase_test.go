package disk_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
)

// late is a file system that removes write-ahead logs only when somebody has looked for them so often.
type late struct {
	vfs.FS

	mu    sync.Mutex
	looks int // that are to come yet; 0 = what is to be removed is removed at once
	kept  []string
}

func (l *late) Remove(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looks == 0 || !strings.HasSuffix(name, ".log") {
		return l.FS.Remove(name)
	}
	l.kept = append(l.kept, name)
	return nil
}

func (l *late) List(dir string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looks > 0 {
		if l.looks--; l.looks == 0 {
			for _, name := range l.kept {
				if err := l.FS.Remove(name); err != nil {
					return nil, err
				}
			}
		}
	}
	return l.FS.List(dir)
}

func (l *late) afterLooks(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks = n
}

func (l *late) looksLeft() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looks
}

// holding are the write-ahead logs in which a text is.
func holding(t *testing.T, fs vfs.FS, text string) (names []string) {
	t.Helper()
	all, err := fs.List("log/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if f, err := fs.Open("log/db/" + name); err == nil && strings.HasSuffix(name, ".log") {
			var b bytes.Buffer
			_, err := b.ReadFrom(f)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if err == nil && bytes.Contains(b.Bytes(), []byte(text)) {
				names = append(names, name)
			}
		}
	}
	return names
}

const erased = "what is to be in no file any more"

// eraser is a log with a record that its topic holds no more, and that is in a write-ahead log still.
func eraser(t *testing.T, o disk.Options) *disk.Log {
	t.Helper()
	l := mustOpen(t, o)
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1, Compact: true})
	for _, value := range [][]byte{[]byte(erased), nil} {
		if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x", Key: []byte("k"), Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(holding(t, o.FS, erased)) == 0 {
		t.Fatal("the record is not found where it has to be: the test sees nothing")
	}
	return l
}

func TestEraseWaitsUntilTheOldWriteAheadLogsAreRemoved(t *testing.T) {
	fs := &late{FS: vfs.NewMem()}
	l := eraser(t, disk.Options{Dir: "log", FS: fs})
	fs.afterLooks(5)
	if err := l.Erase(t.Context(), "x"); err != nil {
		t.Fatalf("Erase = %v", err)
	}
	if names := holding(t, fs.FS, erased); len(names) > 0 {
		t.Errorf("Erase has returned, and the text is in %v", names)
	}
}

func TestEraseDoesNotSayThatItIsDoneWhileAnOldWriteAheadLogIsThere(t *testing.T) {
	fs := &late{FS: vfs.NewMem()}
	l := eraser(t, disk.Options{Dir: "log", FS: fs}.WithPatience(100*time.Millisecond))
	fs.afterLooks(1 << 30)
	if err := l.Erase(t.Context(), "x"); fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
		t.Errorf("Erase = %v while nothing is removed, want Unavailable with a hint", err)
	}
	fs.afterLooks(1)
	if err := l.Erase(t.Context(), "x"); err != nil {
		t.Errorf("Erase when files are removed again = %v", err)
	}
	if names := holding(t, fs.FS, erased); len(names) > 0 {
		t.Errorf("Erase has returned, and the text is in %v", names)
	}
}

func TestCloseDoesNotWaitForAnErasure(t *testing.T) {
	fs := &late{FS: vfs.NewMem()}
	l := eraser(t, disk.Options{Dir: "log", FS: fs}.WithPatience(time.Hour))
	const looks = 1 << 30
	fs.afterLooks(looks)
	done := make(chan error, 1)
	go func() { done <- l.Erase(t.Context(), "x") }()
	for fs.looksLeft() > looks-3 {
		runtime.Gosched()
	}
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("Close = %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits for files that nobody removes")
	}
	if err := <-done; !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Erase = %v when the log was closed, want ErrClosed", err)
	}
}
