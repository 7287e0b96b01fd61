package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/fault"
)

// Names that mean that something of the layers below is not there. // OCI image-spec layer.md#whiteouts
const (
	whiteout       = ".wh."
	whiteoutMeta   = ".wh..wh." // of aufs, for itself
	whiteoutOpaque = ".wh..wh..opq"
)

const (
	maxLayerPath = 4096  // bytes; PATH_MAX
	maxLayerDeep = 256   // directories below each other: each is looked up for every path through it
	maxOwner     = 65535 // the largest id that a sandbox knows
	nobody       = 65534
)

// unpacker makes a layer of an archive that somebody sent, who may be hostile. All paths go through an os.Root, so nothing is made
// outside of it, whatever links the layer has. What no function could use is left out: devices, pipes and sockets, extended attributes,
// set-uid bits. Owners are kept where this process is root.
type unpacker struct {
	root *os.Root
	own  bool // owners can be given
	room room

	maxBytes   int64
	maxEntries int
	bytes      int64
	entries    int
	syncs      errgroup.Group
	dirs       dirs // given at the end: a directory may be closed to who fills it
}

func newUnpacker(root *os.Root, l *Layers) *unpacker {
	u := &unpacker{
		root: root, own: os.Geteuid() == 0, room: l.room, maxBytes: l.maxBytes, maxEntries: l.maxEntries,
	}
	u.dirs.set(".", 0o755)
	u.syncs.SetLimit(syncers)
	return u
}

func (u *unpacker) all(tr *tar.Reader) error {
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := u.entry(h, tr); err != nil {
			return err
		}
	}
	for name, mode := range u.dirs.deepestFirst() {
		if !u.own {
			mode |= 0o700 // GC has to look into it
		}
		err := u.root.Chmod(name, mode)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			u.dirs.forget(name) // it was reached through a link that is another now
		} else if err != nil {
			return fmt.Errorf("open or close directory %q: %w", clip(name), err)
		}
	}
	return nil
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		h.Name = "."
	}
	if u.entries++; u.entries > u.maxEntries {
		return fault.New(fault.TooLarge, "it has more than %d entries", u.maxEntries).WithHint("make the image smaller")
	}
	name, err := layerPath(h.Name)
	if err != nil {
		return err
	}
	if name == "." {
		return nil
	}
	if err := u.make(name, h, content); err != nil {
		return explainPath(name, err)
	}
	return nil
}

// layerPath is where an entry goes, below the layer's directory.
func layerPath(name string) (string, error) {
	if name == "" || strings.ContainsRune(name, 0) || slices.Contains(strings.Split(name, "/"), "..") {
		return "", fault.New(fault.Invalid, "%q is not a path below the root", clip(name)).WithHint("build the image again, with a tool that keeps to its root")
	}
	if len(name) > maxLayerPath {
		return "", fault.New(fault.TooLarge, "the path %q has %d bytes; a path has at most %d", clip(name), len(name), maxLayerPath).WithHint("build the image again, with shorter paths")
	}
	name = path.Clean("./" + strings.TrimLeft(name, "/"))
	if deep := strings.Count(name, "/"); deep > maxLayerDeep {
		return "", fault.New(fault.TooLarge, "%q lies %d directories deep; %d are possible", clip(name), deep, maxLayerDeep).WithHint("build the image again, with fewer directories in each other")
	}
	return name, nil
}

// explainPath tells a path that the layer's own links spoil from one that this machine could not make.
func explainPath(name string, err error) error {
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe) && strings.Contains(pe.Err.Error(), "escapes"), errors.As(err, &le) && strings.Contains(le.Err.Error(), "escapes"):
		return fault.New(fault.Invalid, "%q lies behind a link that leads out of the layer", clip(name))
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EEXIST):
		return fault.New(fault.Invalid, "%q cannot be made: %w", clip(name), err)
	}
	return err
}

func (u *unpacker) make(name string, h *tar.Header, content io.Reader) error {
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if strings.HasPrefix(base, whiteout) {
		return u.without(dir, base)
	}
	if kept := kindsKept(); !kept[h.Typeflag] {
		return nil
	}
	if err := u.mkdirAll(dir); err != nil {
		return err
	}
	hidden, err := u.clear(name, h.Typeflag == tar.TypeDir)
	if err != nil {
		return err
	}
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := u.mkdirAll(name); err != nil {
			return err
		}
		if h.Mode&0o1000 != 0 {
			mode |= fs.ModeSticky
		}
		u.dirs.set(name, mode)
		if hidden {
			if err := u.opaque(name); err != nil {
				return err
			}
		}
	case tar.TypeSymlink:
		if err := u.root.Symlink(h.Linkname, name); err != nil {
			return err
		}
	case tar.TypeLink:
		return u.link(name, h.Linkname) // the owner is the file's
	default:
		if err := u.file(name, h, content); err != nil {
			return err
		}
	}
	return u.give(name, h)
}

// kindsKept are the kinds of entries that functions can use.
func kindsKept() map[byte]bool {
	return map[byte]bool{tar.TypeReg: true, tar.TypeDir: true, tar.TypeSymlink: true, tar.TypeLink: true, tar.TypeGNUSparse: true}
}

// clear takes away what the layer has had at name before, and says whether that hid something of the layers below.
func (u *unpacker) clear(name string, dir bool) (hidden bool, err error) {
	info, err := u.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || dir && info.IsDir() {
		return false, err
	}
	u.dirs.forget(name)
	return isWhiteout(info), u.root.RemoveAll(name)
}

func (u *unpacker) mkdirAll(dir string) error {
	info, err := u.root.Stat(dir)
	if err == nil && info.IsDir() {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	if dir != "." {
		if err := u.mkdirAll(path.Dir(dir)); err != nil {
			return err
		}
	}
	// The layer may have said that it is not there, and say now that it is another.
	replaced := false
	if info, err := u.root.Lstat(dir); err == nil && isWhiteout(info) {
		replaced = true
		if err := u.root.Remove(dir); err != nil {
			return err
		}
	}
	if err := u.root.Mkdir(dir, 0o755); err != nil {
		return err
	}
	u.dirs.set(dir, 0o755) // the umask may have taken bits away
	if replaced {
		return u.opaque(dir)
	}
	return nil
}

// without says that what a whiteout names is not there, in overlayfs's way.
func (u *unpacker) without(dir, base string) error {
	target := strings.TrimPrefix(base, whiteout)
	switch {
	case base == whiteoutOpaque:
		if err := u.mkdirAll(dir); err != nil {
			return err
		}
		return u.opaque(dir)
	case strings.HasPrefix(base, whiteoutMeta):
		return nil
	case target == "" || target == "." || target == "..":
		return fault.New(fault.Invalid, "%q removes nothing that has a name", clip(path.Join(dir, base)))
	}
	if err := u.mkdirAll(dir); err != nil {
		return err
	}
	target = path.Join(dir, target)
	switch info, err := u.root.Lstat(target); {
	case err == nil && info.IsDir():
		return u.opaque(target) // this layer's own stays
	case err == nil:
		return nil // it hides the one below as it is
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return u.inDir(target, makeWhiteout)
}

// opaque hides what the layers below have in a directory.
func (u *unpacker) opaque(dir string) error {
	f, err := u.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := makeOpaque(f); err != nil {
		return fmt.Errorf("hide what is below %q: %w", clip(dir), err)
	}
	return nil
}

// inDir calls make with the directory of a path and its last name: for what os.Root cannot do.
func (u *unpacker) inDir(name string, make func(dir *os.File, name string) error) error {
	f, err := u.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := make(f, path.Base(name)); err != nil {
		return fmt.Errorf("make %q: %w", clip(name), err)
	}
	return nil
}

// link makes a hard link to a file of this layer.
func (u *unpacker) link(name, to string) error {
	target, err := layerPath(to)
	if err != nil {
		return err
	}
	info, err := u.root.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
		return fault.New(fault.Invalid, "%q is a hard link to %q, which is not a file of the layer", clip(name), clip(to)).
			WithHint("build the image again, with a tool that writes whole layers")
	case err != nil:
		return err
	}
	return u.root.Link(target, name)
}

// file writes a file. It is synced while the next ones are written.
func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	if h.Size > u.maxBytes-u.bytes {
		return tooManyBytes()
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(u.room.writer(f), content)
	u.bytes += n
	if err == nil {
		err = f.Chmod(fs.FileMode(h.Mode).Perm())
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("write %q: %w", clip(name), err)
	}
	u.syncs.Go(func() error { return syncFile(f, nil) })
	return nil
}

// syncDirs makes the names durable, after the files.
func (u *unpacker) syncDirs(dir string) error {
	var g errgroup.Group
	g.SetLimit(syncers)
	for name := range u.dirs.deepestFirst() {
		g.Go(func() error { return syncFile(u.root.Open(name)) })
	}
	g.Go(func() error { return syncFile(os.Open(filepath.Join(dir, layerSize))) })
	g.Go(func() error { return syncFile(os.Open(dir)) })
	return g.Wait()
}

// give sets the owner, and the time of a file: interpreters compare it with that of what they have compiled.
func (u *unpacker) give(name string, h *tar.Header) error {
	if u.own {
		if err := u.root.Lchown(name, owner(h.Uid), owner(h.Gid)); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeReg {
		return u.root.Chtimes(name, h.ModTime, h.ModTime)
	}
	return nil
}

// owner is an id that a sandbox knows.
func owner(id int) int {
	if id < 0 || id > maxOwner {
		return nobody
	}
	return id
}
