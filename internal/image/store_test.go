package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// leftovers lists what the store holds: trees, and what is in its room for temporary ones.
func (s *Store) leftovers(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, d := range []string{s.trees, s.tmp} {
		list, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, de := range list {
			out = append(out, de.Name())
		}
	}
	return out
}

func TestPutGivesBackWhatWasPacked(t *testing.T) {
	s := open(t)
	digest, archive := packed(t, files(t, map[string]string{"!run": "#!/bin/sh\n", "a/b/c": "deep", "l": "->a/b", "e/": ""}))
	if s.Has(digest) {
		t.Error("Has before Put = true")
	}
	if _, err := s.Dir(digest); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Dir before Put = %v, want not found", err)
	}
	for range 2 { // the second time it is there already
		if got, err := s.Put(t.Context(), bytes.NewReader(archive)); err != nil || got != digest {
			t.Fatalf("Put = %s, %v, want %s", got, err, digest)
		}
	}
	dir, err := s.Dir(digest)
	if err != nil || !s.Has(digest) {
		t.Fatalf("Dir = %v, Has = %v", err, s.Has(digest))
	}
	if again, _ := packed(t, dir); again != digest {
		t.Errorf("Pack of what was put = %s, want %s", again, digest)
	}
	for name, want := range map[string]os.FileMode{"": 0o755, "run": 0o755, "a/b/c": 0o644, "a": 0o755} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %q = %v, %v, want %o", name, info.Mode(), err, want)
		}
	}
	if left := s.leftovers(t); len(left) != 1 {
		t.Errorf("the store holds %q, want one tree", left)
	}
}

func TestPutTakesWhatOtherToolsWrite(t *testing.T) {
	s := open(t)
	want, _ := packed(t, files(t, map[string]string{"d/a": "x", "b": "y"}))
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeXGlobalHeader, Format: tar.FormatPAX, PAXRecords: map[string]string{"comment": "c0ffee"}},
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700},
		{Typeflag: tar.TypeReg, Name: "./d/a", Mode: 0o600, Uid: 1000, Uname: "me", Size: 1, ModTime: time.Unix(1e9, 0)},
		{Typeflag: tar.TypeReg, Name: "b", Mode: 0o664, Size: 1},
	} {
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size == 1 {
			if _, err := tw.Write([]byte(map[string]string{"b": "y", "./d/a": "x"}[h.Name])); err != nil {
				t.Fatal(err)
			}
		}
	}
	tw.Close()
	if got, err := s.Put(t.Context(), &b); err != nil || got != want {
		t.Errorf("Put = %s, %v, want %s", got, err, want)
	}
}

func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range headers {
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := tw.Write(make([]byte, h.Size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tw.Close()
	return b.Bytes()
}

// sparseArchive is an archive of two kilobytes that says it holds a file of 999 GB, all of it a hole.
func sparseArchive() []byte {
	var records string
	for _, r := range []string{"major=1", "minor=0", "name=hole", "realsize=999999999999"} {
		r = " GNU.sparse." + r + "\n"
		records += fmt.Sprintf("%d%s", len(r)+2, r)
	}
	b := rawHeader("pax", 'x', len(records))
	b = append(b, records...)
	b = append(b, make([]byte, 512-len(records))...)
	b = append(b, rawHeader("hole", '0', 512)...)
	holes := make([]byte, 512)
	copy(holes, "1\n999999999999\n0\n")
	return append(append(b, holes...), make([]byte, 1024)...)
}

func rawHeader(name string, kind byte, size int) []byte {
	b := make([]byte, 512)
	for at, text := range map[int]string{
		0: name, 100: "0000644", 108: "0000000", 116: "0000000", 124: fmt.Sprintf("%011o", size), 136: "00000000000",
		148: "        ", 156: string(kind), 257: "ustar\x0000",
	} {
		copy(b[at:], text)
	}
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func hostile(t testing.TB) map[string][]byte {
	reg := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 1}
	}
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	return map[string][]byte{
		`"../evil": not a path below`:                         archive(t, reg("../evil")),
		`"a/../../evil": not a path below`:                    archive(t, reg("a/../../evil")),
		`"/etc/evil": not a path below`:                       archive(t, reg("/etc/evil")),
		`"out": the link leads out`:                           archive(t, link("out", "../../x")),
		`"abs": the link leads out`:                           archive(t, link("abs", "/etc")),
		`"d/evil": "d" is not a directory`:                    archive(t, link("d", "e"), reg("d/evil")),
		`"d" is in the archive twice`:                         archive(t, reg("d/evil"), link("d", "e")),
		`"f/x": "f" is not a directory`:                       archive(t, reg("f"), reg("f/x")),
		`"f" is in the archive twice`:                         archive(t, reg("f"), reg("f")),
		`"hard": a hard link cannot`:                          archive(t, reg("f"), tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "f"}),
		`"dev": a device file cannot`:                         archive(t, tar.Header{Typeflag: tar.TypeChar, Name: "dev", Devmajor: 1, Devminor: 3}),
		`"fifo": a named pipe cannot`:                         archive(t, tar.Header{Typeflag: tar.TypeFifo, Name: "fifo"}),
		`"hole": a sparse file cannot`:                        sparseArchive(),
		`its name is longer than 255 bytes`:                   archive(t, reg(strings.Repeat("n", 300))),
		`it lies more than 100 directories deep`:              archive(t, reg(strings.Repeat("d/", 101)+"f")),
		`its path or its target is longer than 1024 bytes`:    archive(t, reg(strings.Repeat("dddddddddd/", 100)+"f")),
		`not a whole tar archive: archive/tar: invalid`:       bytes.Repeat([]byte("not a tar"), 200),
		`a whole tar archive: write "cut": unexpected EOF`:    archive(t, reg("cut"))[:512],
		`its name is not UTF-8`:                               archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "\xff", Format: tar.FormatGNU}),
		`"x/a": the link leads out of the code directory, to`: archive(t, link("x/up", ".."), link("x/a", "up/../y")),
	}
}

func TestPutRefusesAHostileArchive(t *testing.T) {
	for want, b := range hostile(t) {
		t.Run(want, func(t *testing.T) {
			s := open(t)
			_, err := s.Put(t.Context(), bytes.NewReader(b))
			if k := fault.KindOf(err); err == nil || k != fault.Invalid && k != fault.TooLarge || !strings.Contains(err.Error(), want) {
				t.Errorf("Put = %v (%v), want an error with %q", err, k, want)
			}
			if left := s.leftovers(t); len(left) != 0 {
				t.Errorf("the store holds %q, want nothing", left)
			}
		})
	}
}

func TestPutRefusesTooManyEntries(t *testing.T) {
	s := open(t)
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for i := range MaxEntries + 1 {
		h := tar.Header{Typeflag: tar.TypeSymlink, Name: "l" + string(rune('a'+i%26)) + time.Duration(i).String(), Linkname: "x"}
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	tw.Close()
	if _, err := s.Put(t.Context(), &b); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("Put of %d links = %v, want too large", MaxEntries+1, err)
	}
}

// endless is an archive that never ends, of headers that hold nothing.
type endless struct{ at int }

func (e *endless) Read(p []byte) (int, error) {
	header := rawHeader("f", 'g', 0) // a global header, which counts for nothing but its bytes
	n := copy(p, header[e.at:])
	e.at = (e.at + n) % len(header)
	return n, nil
}

func TestPutBoundsTheArchive(t *testing.T) {
	s := open(t)
	// One file of the largest size is refused by its header, before its content is read.
	_, err := s.Put(t.Context(), bytes.NewReader(rawHeader("big", '0', MaxBytes+1)))
	if fault.KindOf(err) != fault.TooLarge {
		t.Errorf("Put of a file over the bound = %v, want too large", err)
	}
}

func TestPutEndsAnEndlessArchive(t *testing.T) {
	s := open(t)
	_, err := s.Put(t.Context(), new(endless))
	if fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), "global headers") {
		t.Errorf("Put of an endless archive = %v, want that it has too many headers", err)
	}
	if left := s.leftovers(t); len(left) != 0 {
		t.Errorf("the store holds %q, want nothing", left)
	}
}

func TestPutEndsWithItsContext(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, b := packed(t, files(t, map[string]string{"a": "a"}))
	if _, err := s.Put(ctx, bytes.NewReader(b)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want canceled", err)
	}
	if left := s.leftovers(t); len(left) != 0 {
		t.Errorf("the store holds %q, want nothing", left)
	}
}

func TestPutAtOnceByMany(t *testing.T) {
	s := open(t)
	digest, b := packed(t, files(t, map[string]string{"a": "a", "d/b": "b"}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := s.Put(t.Context(), bytes.NewReader(b)); err != nil || got != digest {
				t.Errorf("Put = %s, %v, want %s", got, err, digest)
			}
		})
	}
	wg.Wait()
	if left := s.leftovers(t); len(left) != 1 {
		t.Errorf("the store holds %q, want one tree", left)
	}
}

func TestGCRemovesWhatIsOldAndUnwanted(t *testing.T) {
	s := open(t)
	var digests []string
	for _, text := range []string{"wanted", "young", "old"} {
		_, b := packed(t, files(t, map[string]string{"f": text}))
		d, err := s.Put(t.Context(), bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d)
	}
	past := time.Now().Add(-2 * gcGrace)
	for _, d := range []string{digests[0], digests[2]} {
		dir, err := s.Dir(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, past, past); err != nil {
			t.Fatal(err)
		}
	}
	n, err := s.GC(func(d string) bool { return d == digests[0] })
	if err != nil || n != 1 {
		t.Fatalf("GC = %d, %v, want 1", n, err)
	}
	for i, want := range []bool{true, true, false} {
		if got := s.Has(digests[i]); got != want {
			t.Errorf("Has(digest %d) = %v, want %v", i, got, want)
		}
	}
}

func TestOpenCleansWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tmp", "put-1", "tree"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if left := s.leftovers(t); len(left) != 0 {
		t.Errorf("the store holds %q, want nothing", left)
	}
}

func TestParseDigest(t *testing.T) {
	ok := "sha256:" + strings.Repeat("0a", 32)
	if _, err := ParseDigest(ok); err != nil {
		t.Errorf("ParseDigest(%s) = %v", ok, err)
	}
	for _, bad := range []string{"", "sha256:", strings.Repeat("0a", 32), strings.ToUpper(ok), ok + "0", "sha256:../" + strings.Repeat("0", 61), "md5:" + strings.Repeat("0a", 32)} {
		if _, err := ParseDigest(bad); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("ParseDigest(%q) = %v, want invalid", bad, err)
		}
	}
}

func FuzzPut(f *testing.F) {
	for _, b := range hostile(f) {
		f.Add(b)
	}
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Size: 3, Mode: 0o755}, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "a"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		above := t.TempDir()
		s, err := Open(filepath.Join(above, "store"))
		if err != nil {
			t.Fatal(err)
		}
		digest, err := s.Put(t.Context(), bytes.NewReader(b))
		if list, _ := os.ReadDir(above); len(list) != 1 {
			t.Fatalf("Put wrote outside its store: %v", list)
		}
		if err != nil {
			if k := fault.KindOf(err); k == fault.Internal {
				t.Fatalf("Put = %v, an internal error for what somebody sent", err)
			}
			if left := s.leftovers(t); len(left) != 0 {
				t.Fatalf("a refused archive left %q", left)
			}
			return
		}
		dir, err := s.Dir(digest)
		if err != nil {
			t.Fatal(err)
		}
		list, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer list.Close()
		tree, err := readTree(list, nil)
		if err != nil {
			t.Fatalf("readTree of what was put = %v", err)
		}
		for _, e := range tree.entries {
			if real, err := filepath.EvalSymlinks(filepath.Join(dir, e.path)); err == nil && !strings.HasPrefix(real+"/", dir+"/") {
				t.Fatalf("%q leads to %q, out of the tree", e.path, real)
			}
		}
	})
}
