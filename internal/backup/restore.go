package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// Restore makes a data directory of a backup: of the newest where id is "". The directory must be empty or not there. Every file is held
// against its digest; where one is not as it was stored, or anything else fails, no data directory comes to be.
func Restore(ctx context.Context, from Place, id, data string) (m Manifest, err error) {
	ctx, s, err := open(ctx, from, false)
	if err != nil {
		return m, err
	}
	ids, err := s.chosen(ctx, id)
	if err != nil {
		return m, err
	}
	if m, err = s.manifest(ctx, ids[len(ids)-1]); err != nil {
		return m, err
	}
	list, err := os.ReadDir(data)
	there := err == nil
	list = slices.DeleteFunc(list, func(e fs.DirEntry) bool { return e.Name() == "lost+found" }) // of a file system that is mounted there
	if len(list) > 0 {
		return m, fault.New(fault.Conflict, "%s holds something already", data).WithHint("name a directory that is empty or not there yet")
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, fault.New(fault.Invalid, "%s cannot be a data directory: %w", data, err).WithHint("name a directory that is empty or not there yet")
	}
	if data, err = filepath.Abs(data); err != nil {
		return m, fmt.Errorf("find the data directory: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil {
		return m, fault.New(fault.Unavailable, "%s cannot be made: %w", data, err)
	}
	// Beside its place, so that a restore that was interrupted is not taken for a data directory. In one that is there already, which may be a mount point or
	// be reached by a link, it is within.
	beside, name := filepath.Dir(data), filepath.Base(data)+".restoring-"
	if there {
		beside, name = data, ".restoring-"
	}
	coming, err := os.MkdirTemp(beside, name) // mode 0700
	if err != nil {
		return m, fault.New(fault.Unavailable, "%s cannot be made: %w", data, err)
	}
	defer os.RemoveAll(coming) // by then it is in its place, or not wanted
	err = s.unpack(ctx, &m, coming)
	switch {
	case err == nil && there:
		err = moveUp(coming, data)
	case err == nil:
		err = os.Rename(coming, data)
	}
	if err == nil {
		err = durable.Sync(beside)
	}
	if err != nil {
		return m, fmt.Errorf("restore backup %s: %w", m.ID, err)
	}
	return m, nil
}

// moveUp gives a directory, which is empty but for coming, what is in coming, the log last: without it nothing there is taken for a node's.
func moveUp(coming, data string) error {
	list, err := os.ReadDir(coming)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b fs.DirEntry) int { return cmp.Compare(rank(a.Name()), rank(b.Name())) })
	for _, e := range list {
		if err := os.Rename(filepath.Join(coming, e.Name()), filepath.Join(data, e.Name())); err != nil {
			return err
		}
	}
	return os.Chmod(data, 0o700) // a token is in it
}

func rank(name string) int {
	if name == logDir {
		return 1
	}
	return 0
}

func (s *store) unpack(ctx context.Context, m *Manifest, dir string) error {
	root, err := os.OpenRoot(dir) // no path of a list leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	var dirs []File
	for _, f := range m.Files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if f.Mode.IsDir() {
			dirs = append(dirs, f)
		}
		if err := s.unpackOne(ctx, root, f); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	// Last, and what is below before what is above: a directory may be one that nobody may write to.
	slices.Reverse(dirs)
	for _, d := range dirs {
		f, err := root.Open(filepath.FromSlash(d.Path))
		if err == nil {
			err = errors.Join(f.Sync(), f.Chmod(d.Mode.Perm()), f.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.Path, err)
		}
	}
	return durable.Sync(dir)
}

func (s *store) unpackOne(ctx context.Context, root *os.Root, f File) error {
	name := filepath.FromSlash(f.Path)
	switch f.Mode.Type() {
	case fs.ModeDir:
		return root.MkdirAll(name, 0o700)
	case fs.ModeSymlink:
		return root.Symlink(f.Target, name)
	case 0:
	default:
		return fault.New(fault.Invalid, "it is neither file, directory nor symbolic link")
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = s.get(ctx, out, f)
	if err == nil {
		err = errors.Join(out.Sync(), out.Chmod(f.Mode.Perm()))
	}
	return errors.Join(err, out.Close())
}
