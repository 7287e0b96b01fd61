package build

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// watchEvery is the least time between two looks at what a build has written; one that took long is followed by ten times as long without.
const watchEvery = 250 * time.Millisecond

// watchRoom looks again and again whether the disk has room beyond the reserve, until ctx is done. It waits for nobody that counts: a build that
// makes millions of names, and so is looked at once in minutes, could fill the disk in between.
func (b *Builds) watchRoom(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := b.room(); err != nil {
			return err
		}
	}
}

// watchDisk looks again and again at what a build has written, until ctx is done; errDisk when that is too much. A file that is open and
// has no name is not seen: what such a build fills is the disk down to the reserve, where it ends like any other and gives all back.
func (b *Builds) watchDisk(ctx context.Context, w *workspace, cacheBefore int64) error {
	wait := watchEvery
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		begun := time.Now()
		work, err := measure(w.dir, b.limits.Disk)
		if err != nil {
			return err
		}
		if _, err := measure(w.cache, cacheBefore+b.limits.Disk-work); err != nil {
			return err
		}
		wait = max(watchEvery, 10*time.Since(begun))
	}
}

// inode is what a file without content takes: names fill a disk too.
const inode = 512

const (
	maxDepth   = 512  // of directories: no tool makes so many, and each is opened by way of all above it
	namesAtOne = 1024 // are looked at before what they sum up to is
)

// measure is how many bytes of disk a tree takes, or errDisk as soon as they are more than most: who writes faster than it can be read would
// never be told otherwise. The tree may change meanwhile, and no link is followed out of it.
func measure(dir string, most int64) (int64, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, fmt.Errorf("measure a build's directory: %w", err)
	}
	defer root.Close()
	m := &measuring{root: root, most: most}
	err = m.directory(".", 0)
	return m.sum, err
}

type measuring struct {
	root      *os.Root
	sum, most int64
}

// directory adds what is in one. What is gone meanwhile, or closed to us, was counted as a name.
func (m *measuring) directory(path string, depth int) error {
	if depth > maxDepth {
		return errDeep
	}
	f, err := m.root.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0) // a pipe that is there meanwhile would be waited for
	if err != nil {
		return nil
	}
	defer f.Close()
	for {
		list, err := f.ReadDir(namesAtOne)
		for _, de := range list {
			if err := m.name(path, de, depth); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // the end
		}
	}
}

func (m *measuring) name(path string, de fs.DirEntry, depth int) error {
	m.sum += inode
	if info, err := de.Info(); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			m.sum += st.Blocks * 512 // stat(2)
		}
	}
	if m.sum > m.most {
		return errDisk
	}
	if !de.IsDir() {
		return nil
	}
	return m.directory(filepath.Join(path, de.Name()), depth+1)
}
