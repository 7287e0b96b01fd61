package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// files makes a directory of them: a name that ends in / is a directory, a content that begins with -> a link, a name that
// begins with ! is executable.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, content)
	return dir
}

func write(t *testing.T, dir string, content map[string]string) {
	t.Helper()
	for name, text := range content {
		name, exec := strings.CutPrefix(name, "!")
		p := filepath.Join(dir, name)
		target, link := strings.CutPrefix(text, "->")
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(p, 0o700)
		case link:
			err = os.MkdirAll(filepath.Dir(p), 0o750)
			if err == nil {
				err = os.Symlink(target, p)
			}
		default:
			mode := os.FileMode(0o600)
			if exec {
				mode = 0o711
			}
			err = os.MkdirAll(filepath.Dir(p), 0o750)
			if err == nil {
				err = os.WriteFile(p, []byte(text), mode)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func packed(t *testing.T, dir string) (string, []byte) {
	t.Helper()
	var b bytes.Buffer
	digest, err := Pack(dir, &b)
	if err != nil {
		t.Fatal(err)
	}
	return digest, b.Bytes()
}

func listing(t *testing.T, archive []byte) []string {
	t.Helper()
	var out []string
	for tr := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("header of %s tells of its machine: %+v", h.Name, h)
		}
		out = append(out, fmt.Sprintf("%s %o %d %s", h.Name, h.Mode, h.Size, h.Linkname))
	}
}

func TestPackIsCanonical(t *testing.T) {
	content := map[string]string{
		"!bin/run": "#!/bin/sh\n", "lib/a.py": "a", "lib-2/b.py": "bb", "empty/": "", "cur": "->lib/a.py", "lib/up": "->../bin",
		".dalambignore": "*.pyc\n", "lib/a.pyc": "x", ".git/HEAD": "ref", "über/straße": "ß",
	}
	one, archive := packed(t, files(t, content))
	want := []string{
		"bin/ 755 0 ", "bin/run 755 10 ", "cur 777 0 lib/a.py", "empty/ 755 0 ", "lib/ 755 0 ", "lib-2/ 755 0 ", "lib-2/b.py 644 2 ",
		"lib/a.py 644 1 ", "lib/up 777 0 ../bin", "über/ 755 0 ", "über/straße 644 2 ",
	}
	if got := listing(t, archive); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("Pack wrote\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	dir := files(t, content)
	if err := os.Chtimes(filepath.Join(dir, "cur"), time.Unix(9, 0), time.Unix(9, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "lib/a.py"), 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"lib/b.pyc": "more that is left out"})
	if two, _ := packed(t, dir); two != one {
		t.Errorf("the same content has the digests %s and %s", one, two)
	}
	if err := os.Chmod(filepath.Join(dir, "lib/a.py"), 0o700); err != nil {
		t.Fatal(err)
	}
	if three, _ := packed(t, dir); three == one {
		t.Error("a file that became executable did not change the digest")
	}
}

// The digest is part of what is stored in logs: the same tree must have it in every release.
func TestDigestNeverChanges(t *testing.T) {
	const want = "sha256:dccff9db7ddf6bb25e7d243546c92224d4313c1dedfb988f459c28c160be50bb"
	got, _ := packed(t, files(t, map[string]string{"!run": "#!/bin/sh\ncat\n", "d/" + strings.Repeat("n", 120): "long", "l": "->run"}))
	if got != want {
		t.Errorf("digest = %s, want %s", got, want)
	}
}

func TestPackRefusesByName(t *testing.T) {
	socket := func(t *testing.T, dir string) {
		// The path of a socket is short, so it is made elsewhere and moved.
		short, err := os.MkdirTemp("", "s")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(short) })
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, "s"), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
		if err := os.Rename(filepath.Join(short, "s"), filepath.Join(dir, "s.sock")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		more  func(*testing.T, string)
		kind  fault.Kind
		want  string
	}{
		{"link out", map[string]string{"sub/secret": "->../../../etc/passwd"}, nil, fault.Invalid, `"sub/secret": the link leads out of the code directory`},
		{"absolute link", map[string]string{"py": "->/usr/bin/python3"}, nil, fault.Invalid, `"py": the link leads out of the code directory, to "/usr/bin/python3"`},
		{"socket", nil, socket, fault.Invalid, `"s.sock": a socket cannot be part of the code`},
		{"ignore file", map[string]string{".dalambignore": "a\n[\n"}, nil, fault.Invalid, `.dalambignore:2: "[" is not a pattern`},
		{"too large", map[string]string{"big": ""}, func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "big"), MaxBytes+1); err != nil {
				t.Fatal(err)
			}
		}, fault.TooLarge, `"big": with it the code is larger than 250 MiB`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := files(t, c.files)
			if c.more != nil {
				c.more(t, dir)
			}
			_, err := Pack(dir, io.Discard)
			if fault.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Pack = %v (%v), want %v with %q", err, fault.KindOf(err), c.kind, c.want)
			}
		})
	}
	if _, err := Pack(filepath.Join(t.TempDir(), "gone"), io.Discard); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("Pack(gone) = %v, want that it is not there", err)
	}
}

func TestPackOfALinkThatIsLeftOut(t *testing.T) {
	packed(t, files(t, map[string]string{"venv/bin/python": "->/usr/bin/python3", ".dalambignore": "venv/\n"}))
}
