package native

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// setMounts tells a task of the directories that it shows.
func setMounts(t *inside.Task, s *runner.Spec) {
	for _, m := range s.Mounts {
		t.MountDirs, t.MountPlaces = append(t.MountDirs, m.Dir), append(t.MountPlaces, m.At)
		writable := int64(0)
		if m.Writable {
			writable = 1
		}
		t.MountWritable = append(t.MountWritable, writable)
	}
}

// showMounts makes a mount of each directory, which the init may attach. What the sandbox writes is runner.MountOwner's on disk, whatever
// users the sandbox is made of, so that the next one finds it as its own. The mounts made are returned with an error too.
func showMounts(list []runner.Mount, pid int) (mounts []*os.File, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	users, err := usersOf(pid)
	if err != nil {
		return nil, err
	}
	defer users.Close()
	for _, one := range list {
		m, err := mapped(one.Dir, users)
		if m != nil {
			mounts = append(mounts, m)
		}
		switch {
		case errors.Is(err, unix.EINVAL) && one.Writable:
			return mounts, fault.New(fault.Unavailable, "the file system of %s cannot show files as those of other users (idmapped mounts)", one.Dir).
				WithHint("have the data directory on ext4, xfs or btrfs")
		case err != nil && !errors.Is(err, unix.EINVAL):
			return mounts, fmt.Errorf("mount %s: %w", one.Dir, err)
		}
	}
	return mounts, nil
}
