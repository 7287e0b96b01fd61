package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/runner"
)

// workspace is the directories of one build.
type workspace struct {
	builds   *Builds
	dir      string       // with src, out and tmp
	source   string       // digest
	cache    string       // of the scope
	standard string       // Go's own packages, compiled; "" = none are used
	leave    func() error // gives the caches back
}

// workspace makes one, with a copy of the source in it.
func (b *Builds) workspace(ctx context.Context, id string, r *Request) (w *workspace, err error) {
	w, err = b.emptyWorkspace(id)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.remove())
		}
	}()
	if w.source, err = image.Copy(ctx, w.src(), r.Dir); err != nil {
		return nil, err // it says what of the source cannot be
	}
	// What it leaves out was left out of the source. What a build makes counts whole.
	if err := os.RemoveAll(filepath.Join(w.src(), image.IgnoreFile)); err != nil {
		return nil, fmt.Errorf("make room for a build: %w", err)
	}
	sum := sha256.Sum256([]byte(r.Scope))
	if w.cache, err = w.enter(hex.EncodeToString(sum[:16])); err != nil {
		return nil, err
	}
	return w, own(w.dir)
}

// emptyWorkspace makes one without source and cache.
func (b *Builds) emptyWorkspace(id string) (*workspace, error) {
	w := &workspace{builds: b, dir: filepath.Join(b.work(), id), leave: func() error { return nil }}
	for _, dir := range []string{w.dir, w.out(), w.tmp()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("make room for a build: %w", err), w.remove())
		}
	}
	return w, nil
}

func (w *workspace) src() string { return filepath.Join(w.dir, "src") }
func (w *workspace) out() string { return filepath.Join(w.dir, "out") }
func (w *workspace) tmp() string { return filepath.Join(w.dir, "tmp") }

func (w *workspace) remove() error { return errors.Join(removeTree(w.dir), w.leave()) }

// enter takes a directory of what is kept into use, until the workspace is removed.
func (w *workspace) enter(name string) (dir string, err error) {
	b, before := w.builds, w.leave
	dir = filepath.Join(b.cacheDir(), name)
	b.mu.Lock()
	b.caches[name]++
	b.mu.Unlock()
	w.leave = func() error {
		now := b.now()
		err := os.Chtimes(dir, now, now) // for Tidy
		b.mu.Lock()
		if b.caches[name]--; b.caches[name] == 0 {
			delete(b.caches, name)
		}
		b.mu.Unlock()
		return errors.Join(err, before())
	}
	return dir, makeKept(dir)
}

// makeKept makes a directory that builds keep something in, where there is none.
func makeKept(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(dir, runner.MountOwner, runner.MountOwner)
}

// beginAnew throws away what builds of the scope have kept. No other build uses it: a scope builds one at a time.
func (w *workspace) beginAnew() error {
	gone := w.dir + "-gone"
	if err := os.Rename(w.cache, gone); err != nil {
		return fmt.Errorf("throw away what builds kept: %w", err)
	}
	return errors.Join(makeKept(w.cache), removeTree(gone))
}

// own gives a tree to the user that a build is.
func own(dir string) error {
	if os.Geteuid() != 0 {
		return nil // sandboxes are the same user
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, runner.MountOwner, runner.MountOwner)
	})
}

// output finds the directory that holds the result, when nothing of the build lives any more. A build may have put links anywhere; none
// is followed to it.
func (w *workspace) output(r *Request, p *plan) (string, error) {
	at, host := outAt, w.out()
	if p.output != outAt {
		at, host = sourceAt, w.src()
	}
	root, err := os.OpenRoot(host)
	if err != nil {
		return "", fmt.Errorf("open what a build made: %w", err)
	}
	defer root.Close()
	name := strings.TrimPrefix(strings.TrimPrefix(p.output, at), "/")
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '/' || name == "" {
			continue
		}
		if info, err := root.Lstat(name[:i]); err != nil || !info.IsDir() {
			return "", fault.New(fault.Invalid, "the build made no directory %q", name).WithHint("build.output names the directory, below the code's, that the result is in")
		}
	}
	if name != "" {
		below, err := root.OpenRoot(name)
		if err != nil {
			return "", fmt.Errorf("open what a build made: %w", err)
		}
		defer below.Close()
		root = below
	}
	for _, program := range r.Programs {
		info, err := root.Stat(program)
		link, linkErr := root.Readlink(program)
		switch {
		case err != nil && linkErr == nil:
			return "", fault.New(fault.Invalid, "%q, which function %q is started from, is a link that leads to no file of what the build made: %q", program, r.Function, fault.Clip(link)).
				WithHint("let the build put the file itself there (cp -L)")
		case err != nil:
			return "", fault.New(fault.Invalid, "the build made no %q, which function %q is started from", program, r.Function).WithHint("%s", made(root))
		case info.Mode().Perm()&0o111 == 0 || !info.Mode().IsRegular():
			return "", fault.New(fault.Invalid, "the build made %q, which function %q is started from, and it is not executable", program, r.Function)
		}
	}
	return filepath.Join(host, filepath.FromSlash(name)), nil
}

// made says what is in a directory.
func made(root *os.Root) string {
	list, err := fs.ReadDir(root.FS(), ".")
	if err != nil || len(list) == 0 {
		return "it made nothing"
	}
	var names []string
	for _, de := range list {
		if len(names) == 10 {
			names = append(names, "...")
			break
		}
		names = append(names, fault.Clip(de.Name()))
	}
	return "it made: " + strings.Join(names, ", ")
}
