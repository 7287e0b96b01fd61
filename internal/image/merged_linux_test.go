package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/need"
)

// stack unpacks layers, the lowest first. An entry ends with a slash where it is a directory; "a -> b" is a link.
func stack(t *testing.T, layers ...[]string) Merged {
	t.Helper()
	l := openLayers(t)
	var m Merged
	for i, entries := range layers {
		headers := []tar.Header{{Typeflag: tar.TypeReg, Name: fmt.Sprintf("layer%d", i), Mode: 0o644}} // so that no two are the same
		for _, e := range entries {
			h := tar.Header{Typeflag: tar.TypeReg, Name: e, Mode: 0o755}
			if name, target, ok := strings.Cut(e, " -> "); ok {
				h.Typeflag, h.Name, h.Linkname = tar.TypeSymlink, name, target
			} else if strings.HasSuffix(e, "/") {
				h.Typeflag = tar.TypeDir
			}
			headers = append(headers, h)
		}
		m = append(m, l.put(t, archive(t, headers...)))
	}
	return m
}

func TestMergedHonoursWhiteouts(t *testing.T) {
	const dir = "opt/extensions"
	low := []string{dir + "/a", dir + "/b"}
	for name, tt := range map[string]struct {
		upper [][]string
		want  string
	}{
		"nothing above":             {[][]string{{}}, "a b"},
		"one more":                  {[][]string{{dir + "/c"}}, "a b c"},
		"one removed":               {[][]string{{dir + "/.wh.a"}}, "b"},
		"removed and back":          {[][]string{{dir + "/.wh.a"}, {dir + "/a"}}, "a b"},
		"the directory removed":     {[][]string{{"opt/.wh.extensions"}}, "-"},
		"its parent removed":        {[][]string{{".wh.opt"}}, "-"},
		"removed and made again":    {[][]string{{".wh.opt"}, {dir + "/c"}}, "c"},
		"opaque":                    {[][]string{{dir + "/.wh..wh..opq", dir + "/c"}}, "c"},
		"its parent opaque":         {[][]string{{"opt/.wh..wh..opq", dir + "/c"}}, "c"},
		"a file in its place":       {[][]string{{".wh.opt"}, {"opt"}}, "-"},
		"a file, and a directory":   {[][]string{{".wh.opt", "opt"}, {".wh.opt", dir + "/c"}}, "c"},
		"a link in its place":       {[][]string{{".wh.opt", "opt -> srv", "srv/extensions/c"}}, "c"},
		"an absolute link":          {[][]string{{".wh.opt", "opt -> /srv/deep", "srv/deep/extensions/c"}}, "c"},
		"a link to a lower layer's": {[][]string{{"srv -> opt", ".wh.layer0"}, {dir + "/c"}}, "a b c"},
		"a loop":                    {[][]string{{".wh.opt", "opt -> opt"}}, "-"},
		"a link that climbs":        {[][]string{{".wh.opt", "opt -> ../../../../srv", "srv/extensions/c"}}, "c"},
	} {
		t.Run(name, func(t *testing.T) {
			m := stack(t, append([][]string{low}, tt.upper...)...)
			names, err := m.Names(dir)
			got := strings.Join(names, " ")
			if err != nil {
				got = "-"
			}
			if got != tt.want {
				t.Errorf("Names = %q, %v, want %q", names, err, tt.want)
			}
			for _, n := range names {
				if info, err := m.Stat(path.Join(dir, n)); err != nil || !info.Mode().IsRegular() {
					t.Errorf("Stat(%s) = %v, %v, want a file", n, info, err)
				}
			}
		})
	}
}

func TestMergedOpensTheHighestFile(t *testing.T) {
	m := stack(t, []string{"etc/passwd"}, []string{"etc/passwd -> ../data/users", "data/users", "data/dir/"})
	f, err := m.Open("etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if want := filepath.Join(m[1], "data/users"); f.Name() != want {
		t.Errorf("it opened %s, want %s", f.Name(), want)
	}
	for name, want := range map[string]error{"etc/group": fs.ErrNotExist, "data/users/x": syscall.ENOTDIR, "../../etc/group": fs.ErrNotExist} {
		if _, err := m.Open(name); !errors.Is(err, want) {
			t.Errorf("Open(%s) = %v, want %v", name, err, want)
		}
	}
	if _, err := m.Open("data/dir"); err == nil {
		t.Error("a directory was opened as a file")
	}
	if _, err := (Merged)(nil).Open("etc/passwd"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open without layers = %v", err)
	}
}

// The kernel is the judge: random layers are mounted, and each path is asked for in both.
func TestMergedIsWhatOverlayfsShows(t *testing.T) {
	need.Root(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	words := []string{"a", "b", "c"}
	var paths []string
	for _, x := range words {
		paths = append(paths, x)
		for _, y := range words {
			paths = append(paths, x+"/"+y, x+"/"+y+"/a")
		}
	}
	for range 40 {
		var layers [][]string
		for range 2 + r.IntN(3) {
			layers = append(layers, randomLayer(r, words))
		}
		m := stack(t, layers...)
		mount := t.TempDir()
		mounted(t, m, mount, func(root *os.Root) {
			for _, p := range paths {
				want, got := "-", "-"
				if info, err := root.Stat(p); err == nil {
					want = info.Mode().Type().String()
					if info.IsDir() {
						want += fmt.Sprint(namesIn(t, root, p))
					}
				}
				if info, err := m.Stat(p); err == nil {
					got = info.Mode().Type().String()
					if names, err := m.Names(p); err == nil {
						got += fmt.Sprint(names)
					}
				}
				if got != want {
					t.Errorf("%s of %q = %s, overlayfs shows %s", p, layers, got, want)
				}
			}
		})
	}
}

// randomLayer has no absolute links: to the kernel they would lead to this machine's root.
func randomLayer(r *rand.Rand, words []string) []string {
	word := func() string { return words[r.IntN(len(words))] }
	var entries []string
	used := map[string]bool{}
	for range r.IntN(6) {
		at := word()
		if r.IntN(2) == 0 {
			at += "/" + word()
		}
		if used[at] || used[path.Dir(at)] || slices.ContainsFunc(slices.Collect(maps.Keys(used)), func(u string) bool { return strings.HasPrefix(u, at+"/") }) {
			continue // it would be in the way of another
		}
		used[at] = true
		dir, base := path.Split(at)
		switch r.IntN(6) {
		case 0:
			entries = append(entries, at+"/")
		case 1:
			entries = append(entries, dir+".wh."+base)
		case 2:
			entries = append(entries, at+"/.wh..wh..opq", at+"/"+word())
		case 3:
			entries = append(entries, at+" -> "+word())
		case 4:
			entries = append(entries, at+"/"+word())
		default:
			entries = append(entries, at)
		}
	}
	return entries
}

// mounted calls look with the root of the mounted layers, in a mount namespace that ends with it.
func mounted(t *testing.T, m Merged, at string, look func(root *os.Root)) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its namespace
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			lower := slices.Clone(m)
			slices.Reverse(lower)
			if err := unix.Mount("overlay", at, "overlay", unix.MS_RDONLY, "userxattr,lowerdir="+strings.Join(lower, ":")); err != nil {
				return err
			}
			root, err := os.OpenRoot(at)
			if err != nil {
				return err
			}
			defer root.Close()
			look(root)
			return nil
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// namesIn lists what can be looked up: of a directory that only one layer has, the kernel lists the whiteouts too.
func namesIn(t *testing.T, root *os.Root, dir string) []string {
	f, err := root.Open(dir)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil && err != io.EOF {
		t.Error(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		_, err := root.Lstat(path.Join(dir, name))
		return errors.Is(err, fs.ErrNotExist)
	})
	slices.Sort(names)
	return names
}
