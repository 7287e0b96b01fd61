package inside

import "syscall"

// Where roots are put together: the first in a directory that every Linux has and that no code is in, another one in an empty one of
// the first.
const (
	firstRoot = "/sys"
	nextRoot  = "/tmp"
)

// hostDir is where an ordinary user's init sees the host's files until its command has its own: only by their names can it mount them.
const hostDir = "/host"

// hostVariable in the environment of an init says that it needs the host's files when it gets its task. Root's node gives it mounts.
const hostVariable = "DALAMB_HOST"

// taskDir is where the function sees its code.
const taskDir = "var/task"

const hosts = "127.0.0.1 localhost sandbox sandbox.localdomain\n::1 localhost\n"

// step is one thing to do, with the words for when it cannot be done.
type step struct {
	what string
	do   func() error
}

// failure is what the machine did not let us do.
type failure struct {
	what string
	err  error
}

func (f *failure) Error() string { return f.what + ": " + f.err.Error() }

func all(steps []step) error {
	for _, s := range steps {
		if err := s.do(); err != nil {
			return &failure{s.what, err}
		}
	}
	return nil
}

// prepareRoot makes the root that most functions have, and leaves the host.
func prepareRoot(keepHost bool) error {
	steps := append(emptyRoot(firstRoot), []step{
		{"make directories", makeOwnDirs},
		{"make /sys", makeSys},
		{"mount /proc", mountProc},
		{"make /dev", makeDev},
		{"show layers in /opt", showOpt},
		{"make /etc", makeEtc},
		{"show the host's programs", showHost},
	}...)
	if !keepHost {
		return all(append(steps, changeRoot()...))
	}
	return all(append(steps, []step{
		{"make a place for the host's files", func() error { return makeDirs(hostDir[1:]) }},
		{"change the root", func() error { return syscall.PivotRoot(".", hostDir[1:]) }},
		{"enter the new root", func() error { return syscall.Chdir("/") }},
	}...))
}

// makeBareRoot makes a root without the host's programs the working directory. It is not yet the root.
func makeBareRoot() error {
	return all(append(emptyRoot(nextRoot), []step{
		{"make directories", makeOwnDirs},
		{"show /proc", showProc},
		{"make /dev", makeDev},
		{"show layers in /opt", showOpt},
		{"make /etc", makeEtc},
	}...))
}

func makeOwnDirs() error {
	return makeDirs("proc", "dev", "dev/shm", "tmp", "var", taskDir, "etc")
}

// showOpt makes a part of the code of what AWS calls layers.
func showOpt() error { return syscall.Symlink("/"+taskDir+"/opt", "opt") }

// emptyRoot mounts a root with nothing in it and makes it the working directory.
func emptyRoot(at string) []step {
	return []step{
		{"touch no mounts but its own", apart},
		// Slave, so that what the host unmounts while we wait is not held by us.
		{"part from the host's mounts", func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SLAVE, "") }},
		{"mount a root", func() error {
			return syscall.Mount("root", at, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755,size=1m")
		}},
		{"enter the root", func() error { return syscall.Chdir(at) }},
	}
}

// changeRoot makes the working directory the root and takes the old root away.
func changeRoot() []step {
	return []step{
		// Twice the same place: the old root lands upon the new one and is taken off. // pivot_root(2), NOTES
		{"change the root", func() error { return syscall.PivotRoot(".", ".") }},
		{"take the old root away", func() error { return syscall.Unmount(".", detach) }},
		{"enter the new root", func() error { return syscall.Chdir("/") }},
	}
}

// finishRoot adds what is this function's own to the root in the working directory, and leaves nothing of the host.
func finishRoot(t *Task, codeMount int, keptHost bool) error {
	size, shm := atMost(t.Tmp), atMost(min(t.Tmp, 64<<20))
	steps := []step{
		{"mount /tmp", func() error { return syscall.Mount("tmp", "tmp", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, size) }},
		{"mount /dev/shm", func() error { return syscall.Mount("shm", "dev/shm", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, shm) }},
		{"show the code in " + t.CodeDir, func() error { return showCode(t, codeMount) }},
		{"write secrets", func() error { return showSecrets(t) }},
		{"write /etc/resolv.conf", func() error {
			if t.Resolv == "" || len(t.Layers) > 0 {
				return nil
			}
			return writeFile("etc/resolv.conf", t.Resolv)
		}},
		{"write /etc/hosts", t.nameCalls},
	}
	switch {
	case !t.prepared():
		steps = append(steps, changeRoot()...)
	case keptHost:
		steps = append(steps,
			step{"take the host's files away", func() error { return syscall.Unmount(hostDir, detach) }},
			step{"take their place away", func() error { return syscall.Rmdir(hostDir) }},
		)
	}
	if t.Nested > 0 {
		steps = append(steps, step{"hide the init", hideInit}) // a nested command may have its init's user
	}
	return all(append(steps,
		step{"make the root read-only", func() error { return setAttr("/", attrReadOnly, false) }},
		step{"name the host", func() error { return syscall.Sethostname([]byte(t.Function)) }},
	))
}

// atMost are the options of a tmpfs that everybody may write to. Files without content take memory too, and no size stops them.
func atMost(size int64) string {
	return "mode=1777,size=" + decimal(size) + ",nr_inodes=" + decimal(size/4096+1024)
}

func showCode(t *Task, codeMount int) error {
	switch {
	case t.CodeDir == "":
		return nil
	case t.CodeMount:
		if err := moveMount(codeMount, taskDir); err != nil {
			return err
		}
	default:
		if err := syscall.Mount(hostDir+t.CodeDir, taskDir, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return err
		}
	}
	return setAttr(taskDir, attrReadOnly|attrNoSUID|attrNoDev, true)
}

// mountProc shows this sandbox's processes, without what tells of the machine or changes it: what Docker and runc
// hide, and more. There is no /sys at all. // OCI runtime-spec config-linux.md#masked-paths, moby daemon/pkg/oci/defaults.go
func mountProc() error {
	if err := syscall.Mount("proc", "proc", "proc", procFlags, ""); err != nil {
		return err
	}
	if err := limitNamespace(); err != nil {
		return err
	}
	for _, p := range []string{"proc/sys", "proc/bus", "proc/fs", "proc/irq", "proc/sysrq-trigger"} {
		err := syscall.Mount(p, p, "", syscall.MS_BIND|syscall.MS_REC, "")
		if err == nil {
			err = setAttr(p, attrReadOnly, true)
		}
		if err != nil && err != syscall.ENOENT {
			return &failure{p, err}
		}
	}
	for _, p := range []string{"proc/acpi", "proc/asound", "proc/scsi", "proc/tty", "proc/driver"} {
		err := syscall.Mount("none", p, "tmpfs", syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, "size=0,mode=555")
		if err != nil && err != syscall.ENOENT {
			return &failure{p, err}
		}
	}
	return maskProc()
}

// maskProc shows nothing of what tells of the machine, as far as this kernel has it.
func maskProc() error {
	for _, p := range []string{"proc/kcore", "proc/keys", "proc/key-users", "proc/latency_stats", "proc/timer_list", "proc/timer_stats",
		"proc/sched_debug", "proc/interrupts", "proc/softirqs", "proc/iomem", "proc/ioports", "proc/slabinfo", "proc/pagetypeinfo",
		"proc/kpagecount", "proc/kpageflags", "proc/kpagecgroup", "proc/kallsyms", "proc/kmsg", "proc/modules", "proc/vmallocinfo", "proc/config.gz", "proc/cmdline"} {
		if err := syscall.Mount("/dev/null", p, "", syscall.MS_BIND, ""); err != nil && err != syscall.ENOENT {
			return &failure{p, err}
		}
	}
	return nil
}

const procFlags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC

// showProc shows the first root's /proc in another one, with all that is hidden there.
func showProc() error { return syscall.Mount("/proc", "proc", "", syscall.MS_BIND|syscall.MS_REC, "") }

// hideInit takes from /proc the processes that the reader may not trace. // proc(5), hidepid
func hideInit() error {
	return syscall.Mount("proc", "/proc", "proc", syscall.MS_REMOUNT|procFlags, "hidepid=ptraceable")
}

func devices() []string { return []string{"null", "zero", "full", "random", "urandom"} }

func makeDev() error {
	for _, d := range devices() {
		if err := showFile("/dev/"+d, "dev/"+d, attrNoSUID|attrNoExec); err != nil {
			return &failure{d, err}
		}
	}
	return linkDevices()
}

func linkDevices() error {
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := syscall.Symlink(to, "dev/"+name); err != nil {
			return &failure{name, err}
		}
	}
	return nil
}

func makeEtc() error {
	for name, content := range map[string]string{
		"passwd":        "root:x:0:0:root:/:/bin/sh\nfunction:x:1000:1000:function:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
		"group":         "root:x:0:\nfunction:x:1000:\nnogroup:x:65534:\n",
		"hosts":         hosts,
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	} {
		if err := writeFile("etc/"+name, content); err != nil {
			return &failure{name, err}
		}
	}
	return nil
}

// showHost shows what programs of the host need to start.
func showHost() error {
	return all([]step{{"programs", showPrograms}, {"settings", showSettings}})
}

// showPrograms shows the programs and their libraries.
func showPrograms() error {
	if err := showDir("/usr", "usr"); err != nil {
		return &failure{"/usr", err}
	}
	for _, d := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		var link [256]byte
		n, err := syscall.Readlink("/"+d, link[:])
		switch {
		case err == nil:
			err = syscall.Symlink(string(link[:n]), d)
		case err == syscall.EINVAL: // no link
			err = showDir("/"+d, d)
		}
		if err != nil && err != syscall.ENOENT {
			return &failure{"/" + d, err}
		}
	}
	return nil
}

// showSettings shows what of /etc they need, and nothing that is private to the host.
func showSettings() error {
	if err := makeDirs("etc/ssl", "etc/pki", "etc/pki/tls", "etc/pki/ca-trust", "etc/ca-certificates", "etc/maven"); err != nil {
		return err
	}
	if err := showJava(); err != nil {
		return err
	}
	// Of the certificates' directories only the public part: an ordinary user's functions are in the user's groups.
	for _, d := range []string{"etc/ld.so.conf.d", "etc/alternatives", "etc/crypto-policies", "etc/ssl/certs", "etc/pki/tls/certs",
		"etc/pki/ca-trust/extracted", "etc/ca-certificates/extracted", "etc/maven/logging"} {
		if err := showDir("/"+d, d); err != nil && err != syscall.ENOENT && err != syscall.ENOTDIR {
			return &failure{"/" + d, err}
		}
	}
	// Of Maven's, whose settings can hold passwords, only what Debian's does not start without.
	for _, f := range []string{"etc/maven/m2.conf", "etc/ld.so.cache", "etc/ld.so.conf", "etc/ssl/cert.pem", "etc/ssl/openssl.cnf", "etc/pki/tls/cert.pem", "etc/pki/tls/openssl.cnf"} {
		if err := showFile("/"+f, f, attrReadOnly|attrNoSUID|attrNoDev); err != nil && err != syscall.ENOENT {
			return &failure{"/" + f, err}
		}
	}
	return nil
}

// showJava shows the settings that Debian has put into /etc and a Java runtime in /usr does not start without.
func showJava() error {
	etc, err := syscall.Open("/etc", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &failure{"/etc", err}
	}
	defer syscall.Close(etc)
	var names []string
	for buf := make([]byte, 8<<10); ; {
		n, err := syscall.ReadDirent(etc, buf)
		if err != nil {
			return &failure{"/etc", err}
		}
		if n <= 0 {
			break
		}
		_, _, names = syscall.ParseDirent(buf[:n], -1, names)
	}
	const prefix = "java-"
	for _, name := range names {
		if len(name) <= len(prefix) || name[:len(prefix)] != prefix {
			continue
		}
		if err := showDir("/etc/"+name, "etc/"+name); err != nil {
			return &failure{"/etc/" + name, err}
		}
	}
	return nil
}

// showDir binds a directory of the host, read-only all the way down.
func showDir(from, to string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(from, &st); err != nil {
		return err
	}
	if err := makeDirs(to); err != nil {
		return err
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return err
	}
	return setAttr(to, attrReadOnly|attrNoSUID|attrNoDev, true)
}

func showFile(from, to string, attr uint64) error {
	var st syscall.Stat_t
	if err := syscall.Stat(from, &st); err != nil {
		return err
	}
	if err := writeFile(to, ""); err != nil {
		return err
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	return setAttr(to, attr, false)
}

func makeDirs(paths ...string) error {
	for _, p := range paths {
		if err := syscall.Mkdir(p, 0o755); err != nil && err != syscall.EEXIST {
			return err
		}
	}
	return nil
}

func writeFile(path, content string) error {
	return write(path, syscall.O_CREAT|syscall.O_TRUNC, content)
}

// writeOver writes to a file that is there.
func writeOver(path, content string) error { return write(path, 0, content) }

func write(path string, mode int, content string) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CLOEXEC|mode, 0o644)
	if err != nil {
		return err
	}
	for len(content) > 0 {
		n, err := syscall.Write(fd, []byte(content))
		if err != nil {
			syscall.Close(fd)
			return err
		}
		content = content[n:]
	}
	return syscall.Close(fd)
}

func decimal(n int64) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + string(rune('0'+n%10))
}
