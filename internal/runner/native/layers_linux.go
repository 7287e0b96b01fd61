package native

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// setImage gives a task what an image says of its command, or what is usual.
func setImage(t *inside.Task, s *runner.Spec, n *nest, root bool) {
	ids := kindOf(s).ids
	if s.User != nil && n.ids.First != 0 { // without a range there are no others
		for _, g := range s.User.Groups {
			t.Groups = append(t.Groups, int64(g))
		}
	}
	t.UID, t.GID, t.Switch = ids.UID, ids.GID, root && !ids.Shared()
	if s.Nested {
		t.Nested, t.Switch = 1, false
		if n.ids.First != 0 {
			t.Nested = rangeSize
		}
	}
	t.Layers, t.WorkDir = s.Root, s.WorkDir
	switch {
	case t.WorkDir != "":
	case s.CodeDir != "":
		t.WorkDir = taskRoot
	default:
		t.WorkDir = "/"
	}
}

// mountLayers makes a mount of each directory, which the init may attach, in which the owner of a file is who the sandbox that pid is
// in knows by that number. So layers are unpacked once, whatever users the sandboxes are made of. The mounts made are returned with an
// error too.
func mountLayers(dirs []string, pid int) (mounts []*os.File, err error) {
	if len(dirs) == 0 {
		return nil, nil
	}
	users, err := usersOf(pid)
	if err != nil {
		return nil, err
	}
	defer users.Close()
	for _, dir := range dirs {
		m, err := mapped(dir, users)
		if m != nil {
			mounts = append(mounts, m)
		}
		// A file system that cannot do it shows the files as nobody's: who may be read by everybody is read all the same.
		if err != nil && !errors.Is(err, unix.EINVAL) {
			return mounts, fmt.Errorf("mount layer %s: %w", dir, err)
		}
	}
	return mounts, nil
}

// usersOf opens the user namespace of the sandbox that pid is in.
func usersOf(pid int) (*os.File, error) {
	users, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil {
		return nil, fmt.Errorf("find the sandbox's users: %w", err)
	}
	return users, nil
}

// mapped makes a mount of a directory in which the owner of a file is who knows it by that number in the user namespace users. The mount is returned with
// an error too when it was made; EINVAL: this file system cannot be mapped.
func mapped(dir string, users *os.File) (*os.File, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, err
	}
	m := os.NewFile(uintptr(fd), dir)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}); err != nil {
		return m, fmt.Errorf("map its users: %w", err)
	}
	return m, nil
}
