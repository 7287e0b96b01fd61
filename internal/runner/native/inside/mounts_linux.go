package inside

import "syscall"

// mountRoot is runner.MountRoot.
const mountRoot = "build"

// showMounts shows directories of the host, in the root in the working directory.
func showMounts(t *Task, mounts []int) error {
	if len(t.MountDirs) == 0 {
		return nil
	}
	if t.MountsGiven && len(mounts) != len(t.MountDirs) || len(t.MountPlaces) != len(t.MountDirs) || len(t.MountWritable) != len(t.MountDirs) {
		return syscall.EINVAL
	}
	if err := makeDirs(mountRoot); err != nil {
		return err
	}
	for i, dir := range t.MountDirs {
		at := t.MountPlaces[i][1:] // it is absolute
		err := makeDirs(at)
		switch {
		case err != nil:
		case t.MountsGiven:
			err = moveMount(mounts[i], at)
		default:
			err = syscall.Mount(hostDir+dir, at, "", syscall.MS_BIND, "")
		}
		attr := uint64(attrNoSUID | attrNoDev)
		if t.MountWritable[i] == 0 {
			attr |= attrReadOnly
		}
		if err == nil {
			err = setAttr(at, attr, false)
		}
		if err != nil {
			return &failure{dir, err}
		}
	}
	return nil
}
