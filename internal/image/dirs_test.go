package image

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDirs(t *testing.T) {
	var d dirs
	for _, name := range []string{".", "a", "a/b", "a/b/c", "ab", "link/x/y"} {
		d.set(name, 0o755)
	}
	d.set("a", 0o700)
	for _, name := range []string{"a/b", "link", "nothing/at/all"} {
		d.forget(name)
	}
	d.set("a/b", 0o711)
	got := map[string]fs.FileMode{}
	var order []string
	for name, mode := range d.deepestFirst() {
		got[name] = mode
		order = append(order, name)
	}
	want := map[string]fs.FileMode{".": 0o755, "a": 0o700, "a/b": 0o711, "ab": 0o755}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("deepestFirst gave %v, want %v", got, want)
	}
	if slices.Index(order, "a/b") > slices.Index(order, "a") || order[len(order)-1] != "." {
		t.Errorf("the order is %q, want what is below first", order)
	}
}

// Seconds for both together, where the cost of one grows with the number of the others: minutes.
func TestForgettingCostsWhatIsForgotten(t *testing.T) {
	const n = 200_000
	var d dirs
	for i := range n {
		d.set(fmt.Sprint("kept/", i), 0o755)
	}
	for range n {
		d.set("replaced/again", 0o755)
		d.forget("replaced")
	}
	left := 0
	for range d.deepestFirst() {
		left++
	}
	if left != n {
		t.Errorf("%d directories are left, want %d", left, n)
	}
}

func TestReplacedDirectoriesLeaveNoModes(t *testing.T) {
	dir := openLayers(t).put(t, archive(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "d", Mode: 0o711},
		tar.Header{Typeflag: tar.TypeDir, Name: "d/sub", Mode: 0o700},
		tar.Header{Typeflag: tar.TypeDir, Name: "open", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d", Linkname: "open"},
		tar.Header{Typeflag: tar.TypeDir, Name: "open/sub", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeDir, Name: "e/gone", Mode: 0o700},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "e"},
		tar.Header{Typeflag: tar.TypeDir, Name: "l/too", Mode: 0o700},
		tar.Header{Typeflag: tar.TypeReg, Name: "e", Mode: 0o644, Size: 1},
	))
	for name, want := range map[string]os.FileMode{"open": os.ModeDir | 0o755, "open/sub": os.ModeDir | 0o755, "e": 0o644} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want the mode %v", name, info, err, want)
		}
	}
}
