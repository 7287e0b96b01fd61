package image

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sync/errgroup"
)

// syncers is how many files are synced at a time: a journal takes what waits together in one commit. (syncfs(2) would be one
// call, but it waits for everything that anybody writes on that file system.)
const syncers = 16

// syncTree makes a tree and the directory above it durable.
func syncTree(root *os.Root, t *tree) error {
	var g errgroup.Group
	g.SetLimit(syncers)
	for _, e := range t.entries {
		if e.mode&fs.ModeSymlink == 0 {
			g.Go(func() error { return syncFile(root.Open(e.path)) })
		}
	}
	g.Go(func() error { return syncFile(root.Open(".")) })
	return g.Wait()
}

func syncFile(f *os.File, err error) error {
	if err != nil {
		return fmt.Errorf("sync to disk: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync to disk: %w", err)
	}
	return nil
}
