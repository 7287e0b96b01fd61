package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// extractor unpacks an archive that somebody sent, who may be hostile, into an empty directory. All paths go through an os.Root,
// links are made after everything else, so no entry is ever written through one, and the bounds hold while it unpacks.
type extractor struct {
	root *os.Root
	tree tree
	seen map[string]fs.FileMode

	globals int
}

// maxGlobals bounds what is read for nothing.
const maxGlobals = 16

func extract(ctx context.Context, root *os.Root, archive io.Reader) error {
	x := newExtractor(root)
	in := &io.LimitedReader{R: wanted(ctx, archive), N: MaxArchive + 1}
	tr := tar.NewReader(in)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = x.entry(h, tr)
		}
		if err != nil {
			return archiveError(err, in.N)
		}
	}
	return x.finish()
}

func newExtractor(root *os.Root) *extractor {
	return &extractor{root: root, tree: tree{links: map[string]string{}}, seen: map[string]fs.FileMode{}}
}

// finish makes the links, when all else is there.
func (x *extractor) finish() error {
	if err := x.tree.checkLinks(); err != nil {
		return err
	}
	for name, target := range x.tree.links {
		if err := x.root.Symlink(target, name); err != nil {
			return fmt.Errorf("link %q: %w", name, err)
		}
	}
	return nil
}

// archiveError tells what the sender did from what this machine did: only tar's own complaints are the sender's.
func archiveError(err error, left int64) error {
	switch {
	case left <= 0:
		return fault.New(fault.TooLarge, "the archive is larger than %d MiB", int64(MaxArchive)>>20)
	case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, tar.ErrInsecurePath):
		return fault.New(fault.Invalid, "the code is not a whole tar archive: %w", err)
	}
	return err
}

func (x *extractor) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		// git archive writes one; it holds nothing that is kept.
		if x.globals++; x.globals > maxGlobals {
			return fault.New(fault.Invalid, "the archive has more than %d global headers", maxGlobals)
		}
		return nil
	}
	name, err := entryPath(h.Name)
	if err != nil || name == "." {
		return err
	}
	e := entry{path: name}
	switch h.Typeflag {
	case tar.TypeReg:
		if sparse(h) {
			return sparseError(name)
		}
		e.mode, e.size = fs.FileMode(h.Mode).Perm(), h.Size
	case tar.TypeDir:
		e.mode = fs.ModeDir
	case tar.TypeSymlink:
		e.mode, e.link = fs.ModeSymlink, h.Linkname
	case tar.TypeGNUSparse:
		return sparseError(name)
	case tar.TypeLink:
		return fault.New(fault.Invalid, "%q: a hard link cannot be part of the code", name).WithHint("send the file itself")
	default:
		e.mode = h.FileInfo().Mode().Type() | fs.ModeIrregular
	}
	if err := e.checkName(); err != nil {
		return err
	}
	if err := x.parents(name); err != nil {
		return err
	}
	if mode, ok := x.seen[name]; ok {
		if mode.IsDir() && e.mode.IsDir() {
			return nil
		}
		return fault.New(fault.Invalid, "%q is in the archive twice", name)
	}
	if err := x.tree.add(e); err != nil {
		return err
	}
	x.seen[name] = e.mode
	switch {
	case e.mode.IsDir():
		return x.mkdir(name)
	case e.mode.IsRegular():
		return x.file(e, content)
	}
	return nil
}

// sparse says whether the archive leaves out a file's holes: a few bytes of it would become any number of bytes on disk.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func sparseError(name string) error {
	return fault.New(fault.Invalid, "%q: a sparse file cannot be part of the code", clip(name)).WithHint("archive it whole, without --sparse")
}

// entryPath refuses paths that are absolute or go up, before anything is made of them.
func entryPath(name string) (string, error) {
	clean := path.Clean(name)
	if name == "" || path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsRune(name, 0) {
		return "", fault.New(fault.Invalid, "%q: not a path below the code directory", clip(name))
	}
	return clean, nil
}

// parents makes the directories above name that the archive has not named yet.
func (x *extractor) parents(name string) error {
	for i, c := range name {
		if c != '/' {
			continue
		}
		dir := name[:i]
		switch mode, ok := x.seen[dir]; {
		case ok && !mode.IsDir():
			return fault.New(fault.Invalid, "%q: %q is not a directory", name, dir)
		case !ok:
			e := entry{path: dir, mode: fs.ModeDir}
			if err := x.tree.add(e); err != nil {
				return err
			}
			x.seen[dir] = e.mode
			if err := x.mkdir(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *extractor) mkdir(name string) error {
	if err := x.root.Mkdir(name, 0o755); err != nil {
		return fmt.Errorf("make directory %q: %w", name, err)
	}
	// The umask may have taken bits away that a sandbox's user needs.
	if err := x.root.Chmod(name, 0o755); err != nil {
		return fmt.Errorf("make directory %q: %w", name, err)
	}
	return nil
}

func (x *extractor) file(e entry, content io.Reader) (err error) {
	f, err := x.root.OpenFile(e.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %q: %w", e.path, err)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("write %q: %w", e.path, cerr)
		}
	}()
	if _, err := io.Copy(f, content); err != nil {
		return fmt.Errorf("write %q: %w", e.path, err)
	}
	if err := f.Chmod(permissions(e.mode)); err != nil {
		return fmt.Errorf("write %q: %w", e.path, err)
	}
	return nil
}

// readerFunc is a function as an io.Reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// wanted reads r until nobody waits for it any more.
func wanted(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}
