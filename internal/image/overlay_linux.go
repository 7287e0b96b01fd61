package image

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The forms that overlayfs understands when it was mounted with userxattr. // Documentation/filesystems/overlayfs.rst, whiteouts

func makeWhiteout(dir *os.File, name string) error {
	return unix.Mknodat(int(dir.Fd()), name, unix.S_IFCHR, 0)
}

func isWhiteout(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && st.Rdev == 0
}

func makeOpaque(dir *os.File) error {
	return unix.Fsetxattr(int(dir.Fd()), "user.overlay.opaque", []byte("y"), 0)
}

func isOpaque(dir string) bool {
	b := make([]byte, 2)
	n, err := unix.Lgetxattr(dir, "user.overlay.opaque", b)
	return err == nil && string(b[:n]) == "y"
}
