package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

func openBlobs(t *testing.T) *Blobs {
	t.Helper()
	b, err := OpenBlobs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func contentDigest(content []byte) string {
	sum := sha256.Sum256(content)
	return digestOf(sum[:])
}

func putContent(t *testing.T, b *Blobs, content string) (digest string) {
	t.Helper()
	digest = contentDigest([]byte(content))
	if n, err := b.Put(t.Context(), digest, strings.NewReader(content)); err != nil || n != int64(len(content)) {
		t.Fatalf("Put(%q) = %d, %v, want %d", content, n, err, len(content))
	}
	return digest
}

// files lists all files of the store by their paths below it.
func (b *Blobs) files(t *testing.T) (names []string) {
	t.Helper()
	for _, dir := range []string{b.content, b.tmp} {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, de := range list {
			names = append(names, filepath.Base(dir)+"/"+de.Name())
		}
	}
	return names
}

func TestContentComesBackByItsDigest(t *testing.T) {
	b := openBlobs(t)
	for _, content := range []string{"", "x", strings.Repeat("layer", 100_000)} {
		digest := contentDigest([]byte(content))
		if _, ok := b.Has(digest); ok {
			t.Errorf("Has(%.10q) before Put = true", content)
		}
		if _, _, err := b.Open(digest); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Open(%.10q) before Put = %v, want not found", content, err)
		}
		putContent(t, b, content)
		putContent(t, b, content) // once more: it is there
		f, size, err := b.Open(digest)
		if err != nil || size != int64(len(content)) {
			t.Fatalf("Open(%.10q) = %d, %v, want %d", content, size, err, len(content))
		}
		got, err := io.ReadAll(f)
		if err != nil || string(got) != content {
			t.Errorf("read of %.10q = %d bytes, %v, want %d", content, len(got), err, len(content))
		}
		f.Close()
		if size, ok := b.Has(digest); !ok || size != int64(len(content)) {
			t.Errorf("Has(%.10q) = %d, %t, want %d", content, size, ok, len(content))
		}
	}
	if names := b.files(t); len(names) != 3 {
		t.Errorf("the store holds %q, want three files", names)
	}
}

func TestContentThatIsNotStored(t *testing.T) {
	other := contentDigest([]byte("other"))
	ended, end := context.WithCancel(t.Context())
	end()
	broken := errors.New("connection lost")
	for _, c := range []struct {
		name   string
		ctx    context.Context
		digest string
		r      io.Reader
		kind   fault.Kind
		says   string
	}{
		{"wrong digest", t.Context(), other, strings.NewReader("content"), fault.Invalid, "(7 bytes), not " + other},
		{"no digest", t.Context(), "sha256:../../x", strings.NewReader("content"), fault.Invalid, "not a digest"},
		{"canceled", ended, other, strings.NewReader("other"), fault.Unavailable, "canceled"},
		{"cut short", t.Context(), other, io.MultiReader(strings.NewReader("oth"), readerFunc(func([]byte) (int, error) { return 0, broken })), fault.Internal, "connection lost"},
		{"full disk", t.Context(), other, readerFunc(func([]byte) (int, error) { return 0, syscall.ENOSPC }), fault.Unavailable, "no room for the image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := openBlobs(t)
			if _, err := b.Put(c.ctx, c.digest, c.r); fault.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Put = %v (%v), want %v with %q", err, fault.KindOf(err), c.kind, c.says)
			}
			if names := b.files(t); len(names) != 0 {
				t.Errorf("the store holds %q, want nothing", names)
			}
		})
	}
}

func TestReserveIsKept(t *testing.T) {
	b := openBlobs(t)
	free := uint64(roomReserve + 20<<20)
	b.room.free = func() (uint64, error) { return free, nil }
	written := 0
	content := bytes.Repeat([]byte("0123456789abcdef"), 4<<20) // 64 MiB
	_, err := b.Put(t.Context(), contentDigest(content), readerFunc(func(p []byte) (int, error) {
		n := copy(p, content[written:])
		written += n
		free -= uint64(n)
		return n, nil
	}))
	if fault.KindOf(err) != fault.Unavailable || err == nil || !strings.Contains(err.Error(), "the last 512 MiB are kept") {
		t.Errorf("Put onto a full disk = %v, want unavailable with the figures", err)
	}
	if written > 40<<20 {
		t.Errorf("%d MiB were read before the refusal, want at most 40", written>>20)
	}
	if names := b.files(t); len(names) != 0 {
		t.Errorf("the store holds %q, want nothing", names)
	}
}

func TestAdoptMovesAVerifiedFile(t *testing.T) {
	b := openBlobs(t)
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, []byte("layer"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * gcGrace)
	if err := os.Chtimes(upload, long, long); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Adopt(t.Context(), contentDigest([]byte("other")), upload); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("Adopt under another digest = %v, want invalid", err)
	}
	if _, err := os.Stat(upload); err != nil {
		t.Errorf("the file after a refused Adopt: %v", err)
	}
	digest := contentDigest([]byte("layer"))
	if n, err := b.Adopt(t.Context(), digest, upload); err != nil || n != 5 {
		t.Fatalf("Adopt = %d, %v, want 5", n, err)
	}
	if _, err := os.Stat(upload); !os.IsNotExist(err) {
		t.Errorf("the file after Adopt: %v, want that it is gone", err)
	}
	if removed, err := b.GC(func(string) bool { return false }); removed != 0 || err != nil {
		t.Errorf("GC right after Adopt = %d, %v, want 0", removed, err)
	}
}

func TestManyPutTheSameContent(t *testing.T) {
	b := openBlobs(t)
	content := bytes.Repeat([]byte("same"), 200_000)
	digest := contentDigest(content)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if n, err := b.Put(t.Context(), digest, bytes.NewReader(content)); err != nil || n != int64(len(content)) {
				t.Errorf("Put = %d, %v, want %d", n, err, len(content))
			}
		})
	}
	wg.Wait()
	if names := b.files(t); len(names) != 1 {
		t.Errorf("the store holds %q, want one file", names)
	}
}

func TestDeleteAndWalk(t *testing.T) {
	b := openBlobs(t)
	want := map[string]int64{putContent(t, b, "a"): 1, putContent(t, b, "bc"): 2}
	gone := putContent(t, b, "gone")
	for _, kind := range []fault.Kind{fault.Internal, fault.NotFound} {
		if err := b.Delete(gone); (err == nil) != (kind == fault.Internal) || fault.KindOf(err) != kind {
			t.Errorf("Delete = %v, want %v", err, kind)
		}
	}
	got := map[string]int64{}
	if err := b.Walk(func(digest string, size int64) error { got[digest] = size; return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Walk = %v, want %v", got, want)
	}
	stop := errors.New("enough")
	if err := b.Walk(func(string, int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Walk that is stopped = %v, want %v", err, stop)
	}
}

func TestGCOfContent(t *testing.T) {
	b := openBlobs(t)
	wanted, young, asked, old := putContent(t, b, "wanted"), putContent(t, b, "young"), putContent(t, b, "asked"), putContent(t, b, "old")
	past := time.Now().Add(-2 * gcGrace)
	for _, digest := range []string{wanted, asked, old} {
		path, err := b.path(digest)
		if err == nil {
			err = os.Chtimes(path, past, past)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	removed, err := b.GC(func(digest string) bool {
		if digest == asked { // somebody asks for it just when GC has found that nobody needs it
			b.Has(digest)
		}
		return digest == wanted
	})
	if err != nil || removed != 1 {
		t.Errorf("GC = %d, %v, want 1", removed, err)
	}
	for digest, want := range map[string]bool{wanted: true, young: true, asked: true, old: false} {
		if _, ok := b.Has(digest); ok != want {
			t.Errorf("Has(%s) after GC = %t, want %t", digest, ok, want)
		}
	}
}

func TestOpenBlobsCleansWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	b, err := OpenBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	digest := putContent(t, b, "put aside")
	path, err := b.path(digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, filepath.Join(b.tmp, aside+filepath.Base(path))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.tmp, "put-1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err = OpenBlobs(dir); err != nil {
		t.Fatal(err)
	}
	if names := b.files(t); len(names) != 1 {
		t.Errorf("the store holds %q, want what was put aside alone", names)
	}
	if _, ok := b.Has(digest); !ok {
		t.Error("what GC had put aside is not there")
	}
}
