package inside

import "syscall"

// maxLayers is runner.MaxLayers.
const maxLayers = 127

// Directories of the file system that a layered root is put together from. Their names are short: all of them must fit into the one
// page of options that mount(2) takes.
const (
	ownLayer = "own" // above the image's: where mounts go, and files that are dalamb's
	allUnder = "l"
)

// makeLayeredRoot makes an overlay of the image's layers the working directory, with what every sandbox has of its own.
func makeLayeredRoot(t *Task, mounts []int) error {
	return all(append(append(emptyRoot(nextRoot), overlay(t, mounts, nextRoot)...), []step{
		{"enter the image", func() error { return syscall.Chdir(nextRoot) }},
		{"show /proc", showProc},
		{"hide the init", func() error {
			if t.UID != initUser {
				return nil
			}
			// What the kernel keeps from everybody is user 0's in /proc, the init's descriptors too.
			return hideInit()
		}},
		{"mount /dev", func() error {
			return syscall.Mount("dev", "dev", "tmpfs", syscall.MS_NOSUID|syscall.MS_NOEXEC, "mode=755,size=64k")
		}},
		{"make /dev/shm", func() error { return makeDirs("dev/shm") }},
		{"make /dev", makeDev},
		{"make /dev read-only", func() error { return setAttr("dev", attrReadOnly, false) }},
	}...))
}

// overlay mounts the image's layers, put together in the working directory.
func overlay(t *Task, mounts []int, at string) []step {
	return []step{
		{"make its own layer", func() error { return makeOwnLayer(t) }},
		{"attach the layers", func() error { return attachLayers(t, mounts) }},
		{"mount the image", func() error {
			return syscall.Mount("image", at, "overlay", syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, "userxattr,lowerdir="+lowerDirs(len(t.Layers)))
		}},
	}
}

// makeOwnLayer makes what the image cannot stand in the way of, since an upper layer wins.
func makeOwnLayer(t *Task) error {
	dirs := []string{allUnder, ownLayer, ownLayer + "/proc", ownLayer + "/dev", ownLayer + "/tmp", ownLayer + "/etc"}
	if t.CodeDir != "" {
		dirs = append(dirs, ownLayer+"/var", ownLayer+"/"+taskDir)
	}
	if len(t.SecretNames) > 0 {
		dirs = append(dirs, ownLayer+"/run", ownLayer+"/"+secretsDir)
	}
	if err := makeDirs(dirs...); err != nil {
		return err
	}
	for name, content := range map[string]string{"hosts": t.hosts(), "hostname": t.Function + "\n", "resolv.conf": t.Resolv} {
		if err := writeFile(ownLayer+"/etc/"+name, content); err != nil {
			return &failure{name, err}
		}
	}
	return nil
}

func layerDir(i int) string { return allUnder + "/" + decimal(int64(i)) }

func attachLayers(t *Task, mounts []int) error {
	if t.LayerMounts && len(mounts) != len(t.Layers) {
		return syscall.EINVAL
	}
	for i, dir := range t.Layers {
		at := layerDir(i)
		err := makeDirs(at)
		switch {
		case err != nil:
		case t.LayerMounts:
			err = moveMount(mounts[i], at)
		default:
			err = syscall.Mount(hostDir+dir, at, "", syscall.MS_BIND, "")
		}
		if err != nil {
			return &failure{dir, err}
		}
	}
	return nil
}

// lowerDirs are the layers as overlayfs wants them, the highest first.
func lowerDirs(n int) string {
	list := ownLayer
	for i := n - 1; i >= 0; i-- {
		list += ":" + layerDir(i)
	}
	return list
}

// findDir looks for the directory that a command shall run in. ForkExec's error would not tell it from the command.
func findDir(path string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return syscall.ENOTDIR
	}
	return nil
}
