package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/image"
)

// watchEvery is the least time between two looks at what a build has written; one that took long is followed by ten times as long without.
const watchEvery = 250 * time.Millisecond

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
		if err := image.CheckRoom(b.dir, "the build"); err != nil {
			return err
		}
		work, err := measure(w.dir)
		if err != nil {
			return err
		}
		cache, err := measure(w.cache)
		if err != nil {
			return err
		}
		if work+max(0, cache-cacheBefore) > b.limits.Disk {
			return errDisk
		}
		wait = max(watchEvery, 10*time.Since(begun))
	}
}

// inode is what a file without content takes: names fill a disk too.
const inode = 512

// measure is how many bytes of disk a tree takes. It may change meanwhile, and no link is followed out of it.
func measure(dir string) (int64, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, fmt.Errorf("measure a build's directory: %w", err)
	}
	defer root.Close()
	var sum int64
	err = fs.WalkDir(root.FS(), ".", func(_ string, de fs.DirEntry, err error) error {
		if err != nil {
			return nil // it is gone, or closed to us: what cannot be read was counted as a name
		}
		sum += inode
		info, err := de.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * 512 // stat(2)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure a build's directory: %w", err)
	}
	return sum, nil
}
