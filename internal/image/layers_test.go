package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/dalamb/dalamb/internal/fault"
)

func openLayers(t testing.TB) *Layers {
	t.Helper()
	l, err := OpenLayers(filepath.Join(t.TempDir(), "layers"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return digestOf(s[:])
}

// left lists what the store holds.
func (l *Layers) left(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, d := range []string{l.trees, l.tmp} {
		list, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			names = append(names, e.Name())
		}
	}
	return names
}

func compressed(t testing.TB, how string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		z, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		return b
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// overlong is an archive, compressed, with zeros behind its end: more of them than headerRoom, by over 1 MiB. They are one frame many times over: to
// compress all of them would take longer than to read them.
func overlong(t testing.TB, archive []byte) []byte {
	const zeros = 16 << 20
	frame := compressed(t, "zstd", make([]byte, zeros))
	return append(compressed(t, "zstd", archive), bytes.Repeat(frame, headerRoom/zeros+1)...)
}

// put unpacks an archive and returns where it is.
func (l *Layers) put(t testing.TB, b []byte) string {
	t.Helper()
	if err := l.Put(t.Context(), LayerSource{DiffID: sum(b), Bytes: bytes.NewReader(b)}); err != nil {
		t.Fatalf("Put = %v", err)
	}
	dir, err := l.Dir(sum(b))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLayerIsUnpackedFromEveryForm(t *testing.T) {
	plain := archive(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./app/", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeReg, Name: "/app/run", Mode: 0o4755, Size: 3, ModTime: time.Unix(1700000000, 0)},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "app/link", Linkname: "/etc/passwd"},
		tar.Header{Typeflag: tar.TypeLink, Name: "app/hard", Linkname: "app/run"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "lib", Linkname: "app"},
		tar.Header{Typeflag: tar.TypeReg, Name: "lib/through", Mode: 0o600, Size: 1},
		tar.Header{Typeflag: tar.TypeChar, Name: "dev/kvm", Devmajor: 10, Devminor: 232},
		tar.Header{Typeflag: tar.TypeFifo, Name: "pipe"},
		tar.Header{Typeflag: tar.TypeDir, Name: "tmp", Mode: 0o1777},
		tar.Header{Typeflag: tar.TypeDir, Name: "closed", Mode: 0o700},
		tar.Header{Typeflag: tar.TypeReg, Name: "closed/f", Mode: 0o400, Size: 1},
	)
	for _, how := range []string{"plain", "gzip", "zstd"} {
		t.Run(how, func(t *testing.T) {
			l := openLayers(t)
			b := compressed(t, how, plain)
			s := LayerSource{DiffID: sum(plain), Digest: sum(b), Bytes: bytes.NewReader(b)}
			if err := l.Put(t.Context(), s); err != nil {
				t.Fatalf("Put = %v", err)
			}
			dir, err := l.Dir(s.DiffID)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]os.FileMode{
				".": os.ModeDir | 0o755, "app": os.ModeDir | 0o755, "app/run": 0o755, "app/hard": 0o755, "app/link": os.ModeSymlink | 0o777,
				"app/through": 0o600, "tmp": os.ModeDir | os.ModeSticky | 0o777, "closed": os.ModeDir | 0o700, "closed/f": 0o400,
			} {
				if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
					t.Errorf("%s: %v, %v; want the mode %v", name, info, err, want)
				}
			}
			for _, name := range []string{"dev/kvm", "pipe"} {
				if _, err := os.Lstat(filepath.Join(dir, name)); !os.IsNotExist(err) {
					t.Errorf("%s is there: %v", name, err)
				}
			}
			if info, err := os.Stat(filepath.Join(dir, "app/run")); err != nil || info.ModTime().Unix() != 1700000000 {
				t.Errorf("app/run was changed at %v, %v; want the time in the archive", info.ModTime(), err)
			}
			if n, err := l.Size(s.DiffID); err != nil || n != 5 {
				t.Errorf("Size = %d, %v, want 5", n, err)
			}
			if left := l.left(t); len(left) != 1 {
				t.Errorf("the store holds %q, want the layer alone", left)
			}
		})
	}
}

func TestLaterEntriesTakeThePlaceOfEarlierOnes(t *testing.T) {
	reg := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 1}
	}
	dir := openLayers(t).put(t, archive(t,
		reg("file"), tar.Header{Typeflag: tar.TypeSymlink, Name: "file", Linkname: "other"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "target"}, reg("link"),
		reg("dir/sub/f"), tar.Header{Typeflag: tar.TypeSymlink, Name: "dir", Linkname: "target"},
		reg("again"), tar.Header{Typeflag: tar.TypeReg, Name: "again", Mode: 0o600, Size: 1},
	))
	for name, want := range map[string]os.FileMode{"file": os.ModeSymlink | 0o777, "link": 0o644, "dir": os.ModeSymlink | 0o777, "again": 0o600} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want the mode %v", name, info, err, want)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "target")); !os.IsNotExist(err) {
		t.Errorf("a file was written through a link: %v", err)
	}
}

func hostileLayers(t testing.TB) map[string][]byte {
	reg := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 1}
	}
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	hard := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
	}
	return map[string][]byte{
		`"../evil" is not a path`:                          archive(t, reg("../evil")),
		`"a/../../evil" is not a path`:                     archive(t, reg("a/../../evil")),
		`"out/evil" lies behind a link`:                    archive(t, link("out", "/"), reg("out/evil")),
		`"up/evil" lies behind a link`:                     archive(t, link("up", "../../.."), reg("up/evil")),
		`"two/evil" lies behind a link`:                    archive(t, link("one", ".."), link("two", "one"), reg("two/evil")),
		`"up/d/e" lies behind a link`:                      archive(t, link("up", ".."), reg("up/d/e")),
		`"f/x" cannot be made`:                             archive(t, reg("f"), reg("f/x")),
		`"loop/x" cannot be made`:                          archive(t, link("loop", "loop"), reg("loop/x")),
		`hard link to "/etc/passwd", which is not`:         archive(t, hard("h", "/etc/passwd")),
		`"../../etc/passwd" is not a path`:                 archive(t, hard("h", "../../etc/passwd")),
		`"h" lies behind a link`:                           archive(t, link("up", "/etc"), hard("h", "up/passwd")),
		`hard link to "d", which is not a file`:            archive(t, tar.Header{Typeflag: tar.TypeDir, Name: "d"}, hard("h", "d")),
		`hard link to "w", which is not a file`:            archive(t, reg(".wh.w"), hard("h", "w")),
		`".wh." removes nothing`:                           archive(t, reg(".wh.")),
		`".wh..." removes nothing`:                         archive(t, reg(".wh...")),
		`"out/.wh.x" lies behind a link`:                   archive(t, link("out", "/"), reg("out/.wh.x")),
		`"out/.wh..wh..opq" lies behind a link`:            archive(t, link("out", "/tmp"), reg("out/.wh..wh..opq")),
		`not a whole tar archive: archive/tar: invalid`:    bytes.Repeat([]byte("not a tar"), 200),
		`not a whole tar archive: write "cut": unexpected`: archive(t, reg("cut"))[:512],
		`not a whole tar archive: gzip`:                    append([]byte{0x1f, 0x8b}, make([]byte, 600)...),
		`not a whole tar archive: reserved bit`:            append([]byte{0x28, 0xb5, 0x2f, 0xfd}, bytes.Repeat([]byte{0xff}, 600)...),
		`not a whole tar archive: unexpected EOF`:          compressed(t, "gzip", archive(t, reg("x")))[:60],
	}
}

func TestPutRefusesAHostileLayer(t *testing.T) {
	for want, b := range hostileLayers(t) {
		t.Run(want, func(t *testing.T) {
			l := openLayers(t)
			err := l.Put(t.Context(), LayerSource{DiffID: sum(b), Bytes: bytes.NewReader(b)})
			if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
				t.Errorf("Put = %v (%v), want an error with %q", err, fault.KindOf(err), want)
			}
			if left := l.left(t); len(left) != 0 {
				t.Errorf("the store holds %q, want nothing", left)
			}
		})
	}
}

func TestPutBoundsALayer(t *testing.T) {
	many := make([]tar.Header, 11)
	for i := range many {
		many[i] = tar.Header{Typeflag: tar.TypeSymlink, Name: string(rune('a' + i)), Linkname: "x"}
	}
	for what, b := range map[string][]byte{
		"one file":        rawHeader("big", '0', 1<<20+1),
		"files":           archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1 << 19}, tar.Header{Typeflag: tar.TypeReg, Name: "b", Size: 1<<19 + 1}),
		"entries":         archive(t, many...),
		"what comes last": overlong(t, archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 1})),
		`"` + strings.Repeat("d/", 40) + `..." lies 257 directories deep`: archive(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("d/", 257) + "f"}),
		`the path "` + strings.Repeat("p", 80) + `..." has 5000 bytes`:    archive(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("p", 5000)}),
	} {
		l := openLayers(t)
		l.maxBytes, l.maxEntries = 1<<20, 10
		if err := l.Put(t.Context(), LayerSource{DiffID: sum(b), Bytes: bytes.NewReader(b)}); fault.KindOf(err) != fault.TooLarge || strings.HasPrefix(what, `"`) && !strings.Contains(err.Error(), what) {
			t.Errorf("%s: Put = %v, want too large", what, err)
		}
		if left := l.left(t); len(left) != 0 {
			t.Errorf("%s: the store holds %q, want nothing", what, left)
		}
	}
}

func TestPutVerifiesBothDigests(t *testing.T) {
	b := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 1})
	z := compressed(t, "gzip", b)
	other := sum([]byte("other"))
	for what, s := range map[string]LayerSource{
		"digest":  {DiffID: sum(b), Digest: other, Bytes: bytes.NewReader(z)},
		"diff id": {DiffID: other, Digest: sum(z), Bytes: bytes.NewReader(z)},
		"neither": {DiffID: "sha256:x", Bytes: bytes.NewReader(z)},
		"more":    {DiffID: sum(b), Digest: sum(z), Bytes: io.MultiReader(bytes.NewReader(z), strings.NewReader("more"))},
	} {
		l := openLayers(t)
		if err := l.Put(t.Context(), s); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: Put = %v, want invalid", what, err)
		}
		if left := l.left(t); len(left) != 0 {
			t.Errorf("%s: the store holds %q, want nothing", what, left)
		}
	}
}

func TestASourceThatFailsIsNotTheImagesFault(t *testing.T) {
	b := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 1000})
	lost := errors.New("connection lost")
	err := openLayers(t).Put(t.Context(), LayerSource{DiffID: sum(b), Bytes: io.MultiReader(bytes.NewReader(b[:700]), readerFunc(func([]byte) (int, error) { return 0, lost }))})
	if !errors.Is(err, lost) || fault.KindOf(err) == fault.Invalid {
		t.Errorf("Put = %v (%v), want the source's error as it is", err, fault.KindOf(err))
	}
}

func TestPutOfOneLayerByMany(t *testing.T) {
	l := openLayers(t)
	b := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "d/f", Size: 100})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := l.Put(t.Context(), LayerSource{DiffID: sum(b), Bytes: bytes.NewReader(b)}); err != nil {
				t.Errorf("Put = %v", err)
			}
		})
	}
	all.Wait()
	if left := l.left(t); len(left) != 1 {
		t.Errorf("the store holds %q, want one layer", left)
	}
}

func TestLayersGC(t *testing.T) {
	l := openLayers(t)
	var ids []string
	for _, name := range []string{"wanted", "young", "old"} {
		b := archive(t, tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o500}, tar.Header{Typeflag: tar.TypeReg, Name: name + "/f", Size: 1})
		l.put(t, b)
		ids = append(ids, sum(b))
	}
	past := time.Now().Add(-2 * gcGrace)
	for _, id := range []string{ids[0], ids[2]} {
		dir, err := l.Dir(id)
		if err == nil {
			err = os.Chtimes(filepath.Dir(dir), past, past)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := l.GC(func(id string) bool { return id == ids[0] }); err != nil || n != 1 {
		t.Fatalf("GC = %d, %v, want 1", n, err)
	}
	for i, want := range []bool{true, true, false} {
		if got := l.Has(ids[i]); got != want {
			t.Errorf("Has(layer %d) = %v, want %v", i, got, want)
		}
	}
}

func TestOpenLayersCleansWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tmp", "put-1", "layer", layerTree), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLayers(dir)
	if err != nil {
		t.Fatal(err)
	}
	if left := l.left(t); len(left) != 0 {
		t.Errorf("the store holds %q, want nothing", left)
	}
}

func FuzzLayer(f *testing.F) {
	for _, b := range hostileLayers(f) {
		f.Add(b)
	}
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeReg, Name: ".wh.a"}, tar.Header{Typeflag: tar.TypeDir, Name: "a"}, tar.Header{Typeflag: tar.TypeReg, Name: "a/.wh..wh..opq"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		above := t.TempDir()
		l, err := OpenLayers(filepath.Join(above, "layers"))
		if err != nil {
			t.Fatal(err)
		}
		l.maxBytes, l.maxEntries = 1<<20, 1000
		err = l.Put(t.Context(), LayerSource{DiffID: sum(b), Bytes: bytes.NewReader(b)})
		if list, _ := os.ReadDir(above); len(list) != 1 {
			t.Fatalf("Put wrote outside its store: %v", list)
		}
		if err != nil {
			if k := fault.KindOf(err); k == fault.Internal {
				t.Fatalf("Put = %v, an internal error for what somebody sent", err)
			}
			if left := l.left(t); len(left) != 0 {
				t.Fatalf("a refused layer left %q", left)
			}
		}
	})
}
