package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

// trimmed is the file of Go's cache that says when it was last made smaller.
const trimmed = "trim.txt"

// keepUntrimmed says to Go that what nobody used for days was removed from its cache just now: builds that use it cannot say so.
func keepUntrimmed(dir string, now time.Time) error {
	if err := makeKept(dir); err != nil {
		return err
	}
	return leaveFile(dir, trimmed, fmt.Appendf(nil, "%d", now.Unix()))
}

// entryOf is the name of a file in Go's cache: of an action, or of what came of one, which is named by its content.
var entryOf = regexp.MustCompile(`^[0-9a-f]{64}-[ad]$`)

// dropDamaged removes what is not what its name says: a machine that lost its power may have kept the name of a file, and not all of its content.
func dropDamaged(dir string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	paths, err := fs.Glob(root.FS(), "[0-9a-f][0-9a-f]/*-d")
	if err != nil {
		return err
	}
	for _, path := range paths {
		sum, err := sumOf(root, path)
		if err != nil {
			return err
		}
		if hex.EncodeToString(sum)+"-d" == filepath.Base(path) {
			continue
		}
		if err := root.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// sumOf is nil for what is no file.
func sumOf(root *os.Root, path string) ([]byte, error) {
	if info, err := root.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

// linkCache makes the Go cache of a scope lead to what is in another, where it has nothing of its own, and drops links that lead elsewhere. Builds of the
// scope may have left anything there; no link is followed out of it.
func linkCache(scope, kept string) error {
	root, err := os.OpenRoot(scope)
	if err != nil {
		return err
	}
	defer root.Close()
	for i := range 256 {
		name := fmt.Sprintf("%02x", i)
		list, err := os.ReadDir(filepath.Join(kept, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		at := filepath.Join(filepath.Base(goCacheAt), name)
		if err := makeOwned(root, at); err != nil {
			return err
		}
		if err := linkDirectory(root, at, list); err != nil {
			return err
		}
	}
	return nil
}

// makeOwned makes a directory for builds, and that above it.
func makeOwned(root *os.Root, dir string) error {
	for _, d := range []string{filepath.Dir(dir), dir} {
		err := root.Mkdir(d, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if os.Geteuid() == 0 {
			if err := root.Lchown(d, runner.MountOwner, runner.MountOwner); err != nil {
				return err
			}
		}
	}
	return nil
}

func linkDirectory(root *os.Root, at string, list []fs.DirEntry) error {
	dir, err := root.OpenRoot(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	missing := map[string]string{}
	for _, de := range list {
		if entryOf.MatchString(de.Name()) {
			missing[de.Name()] = standardAt + "/" + filepath.Base(at) + "/" + de.Name()
		}
	}
	there, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, de := range there {
		name := de.Name()
		want, has := missing[name]
		delete(missing, name)
		if de.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if to, err := dir.Readlink(name); err != nil || !has || to != want {
			if err := dir.Remove(name); err != nil {
				return err
			}
			if has {
				missing[name] = want
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if err := dir.Symlink(missing[name], name); err != nil {
			return err
		}
	}
	return nil
}
