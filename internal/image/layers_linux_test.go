package image

import (
	"archive/tar"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/need"
)

func TestWhiteoutsAreThoseOfOverlayfs(t *testing.T) {
	reg := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}
	}
	dir := openLayers(t).put(t, archive(t,
		reg("d/.wh.gone"), reg(".wh.top"), reg("opaque/.wh..wh..opq"), reg("opaque/new"), reg(".wh..wh.plnk"),
		reg(".wh.replaced"), reg("replaced"),
		reg(".wh.before"), tar.Header{Typeflag: tar.TypeDir, Name: "before", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeDir, Name: "after", Mode: 0o755}, reg("after/f"), reg(".wh.after"),
		reg("kept"), reg(".wh.kept"),
	))
	for name, want := range map[string]bool{"d/gone": true, "top": true, "replaced": false, "kept": false, "after/f": false, "opaque/new": false} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := isWhiteout(info); got != want {
			t.Errorf("%s is a whiteout: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]bool{"opaque": true, "before": true, "after": true, "d": false} {
		b := make([]byte, 8)
		n, err := unix.Getxattr(filepath.Join(dir, name), "user.overlay.opaque", b)
		if got := err == nil && string(b[:n]) == "y"; got != want {
			t.Errorf("%s is opaque: %v (%v), want %v", name, got, err, want)
		}
	}
	list, err := filepath.Glob(filepath.Join(dir, ".wh*"))
	if err != nil || len(list) != 0 {
		t.Errorf("whiteouts stand there by name: %v, %v", list, err)
	}
}

func TestOwnersAreKept(t *testing.T) {
	need.Root(t)
	owned := func(name string, uid, gid int) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Uid: uid, Gid: gid}
	}
	link := owned("link", 5, 6)
	link.Typeflag, link.Linkname = tar.TypeSymlink, "/etc/passwd"
	dir := openLayers(t).put(t, archive(t, owned("a", 33, 44), owned("large", 65535, 0), owned("huge", 65536, 1<<30), link))
	for name, want := range map[string][2]uint32{"a": {33, 44}, "large": {65535, 0}, "huge": {nobody, nobody}, "link": {5, 6}} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != want[0] || st.Gid != want[1] {
			t.Errorf("%s is of %d:%d, want %d:%d", name, st.Uid, st.Gid, want[0], want[1])
		}
	}
}
