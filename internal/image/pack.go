package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// CodePutter takes archives of code directories, as Store does.
type CodePutter interface {
	Put(ctx context.Context, archive io.Reader) (digest string, err error)
}

// PutDirectory packs a code directory into a store. Errors are those of Pack and of Put.
func PutDirectory(ctx context.Context, to CodePutter, dir string) (digest string, err error) {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		_, err := Pack(dir, w)
		w.CloseWithError(err)
		packed <- err
	}()
	digest, err = to.Put(ctx, r)
	r.Close() // Put may have seen enough
	if packErr := <-packed; packErr != nil && !errors.Is(packErr, io.ErrClosedPipe) {
		return "", packErr // why Put saw no whole archive
	}
	return digest, err
}

// Pack writes the canonical archive of a code directory to w and returns its digest. It leaves out what the directory's
// IgnoreFile says. What cannot be part of the code is an error of kind Invalid or TooLarge that names the path: a file that
// cannot be read, a link that leads out of the directory, a device, socket or pipe, a directory over the bounds.
func Pack(dir string, w io.Writer) (digest string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open code directory: %w", unreadable(dir, err))
	}
	defer root.Close()
	var ignore ignoreList
	switch content, err := root.ReadFile(IgnoreFile); {
	case err == nil:
		if ignore, err = parseIgnore(content); err != nil {
			return "", err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", unreadable(IgnoreFile, err)
	}
	t, err := readTree(root, ignore)
	if err != nil {
		return "", err
	}
	return t.write(root, w)
}

// write writes the archive of t, whose files are in root.
func (t *tree) write(root *os.Root, w io.Writer) (digest string, err error) {
	sum := sha256.New()
	tw := tar.NewWriter(io.MultiWriter(sum, w))
	for _, e := range t.entries {
		if err := tw.WriteHeader(e.header()); err != nil {
			return "", fmt.Errorf("archive %q: %w", e.path, err)
		}
		if e.mode.IsRegular() {
			if err := copyFile(tw, root, e); err != nil {
				return "", err
			}
		}
	}
	if err := tw.Close(); err != nil {
		return "", fmt.Errorf("end archive: %w", err)
	}
	return digestOf(sum.Sum(nil)), nil
}

func (e *entry) header() *tar.Header {
	h := &tar.Header{Format: tar.FormatPAX, Name: e.path, ModTime: time.Unix(0, 0), Mode: int64(permissions(e.mode))}
	switch e.mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, e.path+"/"
	case fs.ModeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
	default:
		h.Typeflag, h.Size = tar.TypeReg, e.size
	}
	return h
}

// permissions are those of the canonical archive.
func permissions(m fs.FileMode) fs.FileMode {
	switch {
	case m&fs.ModeSymlink != 0:
		return 0o777
	case m.IsDir(), m&0o100 != 0:
		return 0o755
	}
	return 0o644
}

func copyFile(w io.Writer, root *os.Root, e entry) error {
	f, err := root.Open(e.path)
	if err != nil {
		return unreadable(e.path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return unreadable(e.path, err)
	}
	if info.Mode().IsRegular() && info.Size() == e.size {
		var n int64
		if n, err = io.CopyN(w, f, e.size); err == nil {
			return nil
		}
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("archive %q at byte %d: %w", e.path, n, err)
		}
	}
	return fault.New(fault.Conflict, "%q changed while it was read", e.path).WithHint("try again when nothing writes there")
}
