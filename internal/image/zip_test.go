package image

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

// zipped is one entry of an archive that a test makes.
type zipped struct {
	name, content string
	mode          fs.FileMode // 0 = none, as on Windows
	header        func(*zip.FileHeader)
}

func zipOf(t testing.TB, entries ...zipped) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		if e.header != nil {
			e.header(h)
		}
		f, err := w.CreateHeader(h)
		if err == nil && !strings.HasSuffix(e.name, "/") {
			_, err = f.Write([]byte(e.content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// listed is what a directory holds, with modes and contents.
func listed(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := ""
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = string(text)
		case info.Mode()&fs.ModeSymlink != 0:
			if what, err = os.Readlink(path); err != nil {
				return err
			}
			name += " ->"
			all = append(all, name+" "+what)
			return nil
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %v %s", name, info.Mode(), what)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestUnzip(t *testing.T) {
	archive := zipOf(t,
		zipped{name: "bootstrap", content: "run", mode: 0o755},
		zipped{name: "lib/", mode: fs.ModeDir | 0o700},
		zipped{name: "lib/a.py", content: "a", mode: 0o600},
		zipped{name: "./implied/deep/b", content: "b"},
		zipped{name: "lib/link", content: "../bootstrap", mode: fs.ModeSymlink | 0o777},
		zipped{name: "lib/", mode: fs.ModeDir | 0o755},
		zipped{name: "empty/"},
	)
	dir := t.TempDir()
	if err := Unzip(bytes.NewReader(archive), int64(len(archive)), dir); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"bootstrap -rwxr-xr-x run", "empty drwxr-xr-x", "implied drwxr-xr-x", "implied/deep drwxr-xr-x", "implied/deep/b -rw-r--r-- b",
		"lib drwxr-xr-x", "lib/a.py -rw-r--r-- a", "lib/link -> ../bootstrap",
	}
	if got := listed(t, dir); !slices.Equal(got, want) {
		t.Errorf("it holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// overwrite puts a number where the central directory has the size of its first entry. // APPNOTE.TXT 4.3.12
func overwrite(archive []byte, at int, value uint32) []byte {
	b := slices.Clone(archive)
	directory := bytes.LastIndex(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[directory+at:], value)
	return b
}

const uncompressedSize = 24 // in an entry of the central directory

func hostileZips(t testing.TB) map[string][]byte {
	zeros := zipOf(t, zipped{name: "zeros", content: strings.Repeat("\x00", 1<<20)})
	stored := func(h *zip.FileHeader) { h.Method = zip.Store }
	noMethod := zipOf(t, zipped{name: "x", content: strings.Repeat("x", 99), header: stored})
	var many []zipped
	for i := range MaxEntries + 1 { // to compress nothing takes time, too
		many = append(many, zipped{name: fmt.Sprint(i), header: stored})
	}
	link := func(target string) zipped { return zipped{name: "l", content: target, mode: fs.ModeSymlink | 0o777} }
	return map[string][]byte{
		`invalid: not a whole zip archive`:                           []byte("PK"),
		`invalid: a whole zip archive`:                               zeros[:len(zeros)-9],
		`invalid: "../x": not a path below`:                          zipOf(t, zipped{name: "../x"}),
		`invalid: "a/../../x": not a path below`:                     zipOf(t, zipped{name: "a/../../x"}),
		`invalid: "/etc/x": not a path below`:                        zipOf(t, zipped{name: "/etc/x"}),
		`invalid: "C:\\x": its path has backslashes`:                 zipOf(t, zipped{name: `C:\x`}),
		`invalid: "x" is in the archive twice`:                       zipOf(t, zipped{name: "x"}, zipped{name: "x", content: "2"}),
		`invalid: "x" is in the archive twice `:                      zipOf(t, zipped{name: "x"}, zipped{name: "./x"}),
		`invalid: "x/y": "x" is not a directory`:                     zipOf(t, zipped{name: "x"}, zipped{name: "x/y"}),
		`invalid: "l/y": "l" is not a directory`:                     zipOf(t, link("/tmp"), zipped{name: "l/y"}),
		`invalid: "l": the link leads out of the code directory`:     zipOf(t, link("/etc/passwd")),
		`invalid: "l": the link leads out of the code directory, to`: zipOf(t, link("a/../../b"), zipped{name: "a/"}),
		`invalid: "l": a link without a target`:                      zipOf(t, link("")),
		`invalid: "l": its path or its target is longer`:             zipOf(t, link(strings.Repeat("a/", MaxPath))),
		`invalid: "d": a device file cannot be part`:                 zipOf(t, zipped{name: "d", mode: fs.ModeDevice | 0o666}),
		`invalid: "p": a named pipe cannot be part`:                  zipOf(t, zipped{name: "p", mode: fs.ModeNamedPipe | 0o666}),
		`invalid: "s": a file of the kind`:                           zipOf(t, zipped{name: "s", mode: fs.ModeSocket | 0o666}),
		`invalid: its name is not UTF-8`:                             zipOf(t, zipped{name: "\xff"}),
		`invalid: "x" is encrypted`:                                  zipOf(t, zipped{name: "x", header: func(h *zip.FileHeader) { h.Flags |= zipEncrypted }}),
		`too large: "zeros": with it the code is larger`:             overwrite(zeros, uncompressedSize, 1<<31),
		`invalid: "zeros" is damaged`:                                overwrite(zeros, uncompressedSize, 99), // a bomb that hides its size
		`invalid: "x" is damaged`:                                    bytes.Replace(noMethod, []byte("xxxx"), []byte("yyyy"), 1),
		`invalid: "x" is compressed by a method`:                     overwrite(noMethod, 10, 99|99<<16),
		`too large: it has 50001 entries`:                            zipOf(t, many...),
		`invalid: it lies more than`:                                 zipOf(t, zipped{name: strings.Repeat("a/", MaxDepth+2) + "x"}),
	}
}

func TestHostileZips(t *testing.T) {
	for want, archive := range hostileZips(t) {
		above := t.TempDir()
		dir := filepath.Join(above, "code")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		err := Unzip(bytes.NewReader(archive), int64(len(archive)), dir)
		kind, message, _ := strings.Cut(want, ": ")
		if err == nil || fault.KindOf(err).String() != kind || !strings.Contains(err.Error(), strings.TrimSpace(message)) {
			t.Errorf("Unzip = %v (%v), want %s", err, fault.KindOf(err), want)
		}
		if list, _ := os.ReadDir(above); len(list) != 1 {
			t.Errorf("%s: it wrote outside: %v", want, list)
		}
	}
	if err := Unzip(bytes.NewReader(nil), maxZip+1, t.TempDir()); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("Unzip of what is far too large = %v", err)
	}
}

// Whatever an archive holds, what comes of it is code: within its directory, and within the bounds.
func FuzzUnzip(f *testing.F) {
	for _, b := range hostileZips(f) {
		if len(b) < 1<<20 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "code")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		err := Unzip(bytes.NewReader(b), int64(len(b)), dir)
		if list, _ := os.ReadDir(above); len(list) != 1 {
			t.Fatalf("Unzip wrote outside: %v", list)
		}
		if err != nil {
			if k := fault.KindOf(err); k == fault.Internal {
				t.Fatalf("Unzip = %v, an internal error for what somebody made", err)
			}
			return
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if _, err := readTree(root, nil); err != nil {
			t.Fatalf("readTree of what was unzipped = %v", err)
		}
	})
}
