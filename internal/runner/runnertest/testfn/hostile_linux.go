package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hostile are the roles that try to get out. Each prints one line per try: name, then "denied" or what it got.
func hostile() map[string]func([]string) {
	return map[string]func([]string){
		"syscalls": syscalls,
		"init":     attackInit,
		"abstract": abstract,
		"list":     list,
		"status":   func([]string) { read([]string{"/proc/self/status"}) },
		"fds":      fds,
		"stat":     stat,
		"watchers": watchers,
		"environs": environs,
		"smuggle":  smuggle,
		"crowd":    crowd,
	}
}

// stat prints who may do what with a file.
func stat(a []string) {
	var st unix.Stat_t
	if err := unix.Stat(a[0], &st); err != nil {
		fail(err)
	}
	fmt.Printf("%04o %d %d", st.Mode&0o7777, st.Uid, st.Gid)
}

func try(name string, err error) {
	var errno syscall.Errno
	switch {
	case err == nil:
		fmt.Println(name, "ALLOWED")
	case errors.As(err, &errno):
		fmt.Println(name, "denied", unix.ErrnoName(errno))
	default:
		fmt.Println(name, "denied", err)
	}
}

// raw calls the kernel with small or null arguments: a filter says no before the kernel looks at them.
func raw(name string, nr uintptr, args ...uintptr) {
	var a [6]uintptr
	copy(a[:], args)
	_, _, errno := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	switch errno {
	case unix.EPERM, unix.EACCES, unix.ENOSYS:
		try(name, errno)
	default:
		fmt.Println(name, "ALLOWED", unix.ErrnoName(errno))
	}
}

func syscalls([]string) {
	empty := append([]byte("/tmp"), 0)
	tmp := uintptr(unsafe.Pointer(&empty[0]))
	none := append([]byte("none"), 0)
	fs := append([]byte("tmpfs"), 0)
	raw("mount", unix.SYS_MOUNT, uintptr(unsafe.Pointer(&none[0])), tmp, uintptr(unsafe.Pointer(&fs[0])))
	raw("umount", unix.SYS_UMOUNT2, tmp, unix.MNT_DETACH)
	raw("pivot_root", unix.SYS_PIVOT_ROOT, tmp, tmp)
	raw("chroot", unix.SYS_CHROOT, tmp)
	raw("open_tree", unix.SYS_OPEN_TREE, ^uintptr(99), tmp, unix.OPEN_TREE_CLONE)
	raw("fsopen", unix.SYS_FSOPEN, uintptr(unsafe.Pointer(&fs[0])), 0)
	for _, ns := range []struct {
		name string
		flag uintptr
	}{{"user", unix.CLONE_NEWUSER}, {"mount", unix.CLONE_NEWNS}, {"net", unix.CLONE_NEWNET}, {"pid", unix.CLONE_NEWPID}} {
		raw("unshare-"+ns.name, unix.SYS_UNSHARE, ns.flag)
		raw("clone-"+ns.name, unix.SYS_CLONE, ns.flag|uintptr(syscall.SIGCHLD))
	}
	raw("setns", unix.SYS_SETNS, 0, 0)
	raw("move_mount", unix.SYS_MOVE_MOUNT, 0, tmp, 0, tmp)
	raw("fsmount", unix.SYS_FSMOUNT, 0)
	raw("mount_setattr", unix.SYS_MOUNT_SETATTR, 0, tmp)
	raw("open_tree_attr", unix.SYS_OPEN_TREE_ATTR, 0, tmp)
	raw("process_vm_readv", unix.SYS_PROCESS_VM_READV, 1)
	raw("process_vm_writev", unix.SYS_PROCESS_VM_WRITEV, 1)
	raw("pidfd_getfd", unix.SYS_PIDFD_GETFD, 0, 0)
	raw("kcmp", unix.SYS_KCMP, 1, 1)
	raw("open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, 0, tmp)
	raw("request_key", unix.SYS_REQUEST_KEY)
	raw("io_uring_enter", unix.SYS_IO_URING_ENTER)
	raw("kexec_file_load", unix.SYS_KEXEC_FILE_LOAD)
	raw("finit_module", unix.SYS_FINIT_MODULE)
	raw("delete_module", unix.SYS_DELETE_MODULE)
	raw("quotactl", unix.SYS_QUOTACTL)
	raw("acct", unix.SYS_ACCT)
	raw("syslog", unix.SYS_SYSLOG, 3)
	raw("clock_settime", unix.SYS_CLOCK_SETTIME, 0, tmp)
	raw("adjtimex", unix.SYS_ADJTIMEX, tmp)
	raw("fanotify_init", unix.SYS_FANOTIFY_INIT)
	raw("move_pages", unix.SYS_MOVE_PAGES, 1)
	raw("personality", unix.SYS_PERSONALITY, 0x40000)
	raw("ptrace", unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1)
	raw("keyctl", unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, ^uintptr(3), 1)
	raw("add_key", unix.SYS_ADD_KEY)
	raw("bpf", unix.SYS_BPF, 0, 0, 0)
	raw("perf_event_open", unix.SYS_PERF_EVENT_OPEN)
	raw("userfaultfd", unix.SYS_USERFAULTFD, 0)
	raw("io_uring_setup", unix.SYS_IO_URING_SETUP, 1, 0)
	raw("kexec_load", unix.SYS_KEXEC_LOAD)
	raw("init_module", unix.SYS_INIT_MODULE)
	raw("reboot", unix.SYS_REBOOT, 0, 0, 0)
	raw("swapon", unix.SYS_SWAPON, tmp, 0)
	raw("settimeofday", unix.SYS_SETTIMEOFDAY, 0, 0)
	raw("sethostname", unix.SYS_SETHOSTNAME, tmp, 4)
	raw("mknod", unix.SYS_MKNODAT, ^uintptr(99), uintptr(unsafe.Pointer(&append([]byte("/tmp/dev"), 0)[0])), unix.S_IFCHR, 0x103)
	try("setuid", syscall.Setuid(0))
	raw("raw-socket", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	raw("packet-socket", unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0)
	raw("vsock", unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	raw("kernel-cipher-socket", unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
	raw("firewall-socket", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
	raw("sctp-socket", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP)
	raw("tiocsti", unix.SYS_IOCTL, 0, unix.TIOCSTI, tmp)
	raw("tiocsti-high", unix.SYS_IOCTL, 0, 1<<32|unix.TIOCSTI, tmp)
	raw("io_setup", unix.SYS_IO_SETUP, 65000, tmp)
	raw("clone3", unix.SYS_CLONE3, 0, 0)
}

// watchers opens inotify instances until it gets no more.
func watchers([]string) {
	for n := 0; ; n++ {
		if _, err := unix.InotifyInit1(0); err != nil {
			fmt.Print(n)
			return
		}
	}
}

// attackInit tries to reach what is pid 1 here.
func attackInit([]string) {
	for _, f := range []string{"environ", "mem", "maps", "root", "cwd", "exe", "fd", "task/1/mem"} {
		p := "/proc/1/" + f
		if _, err := os.Readlink(p); err == nil {
			fmt.Println(f, "ALLOWED")
			continue
		}
		if _, err := os.ReadDir(p); err == nil {
			fmt.Println(f, "ALLOWED")
			continue
		}
		file, err := os.Open(p)
		if err == nil {
			_, err = file.Read(make([]byte, 1))
		}
		try(f, err)
	}
	// Signals to an init either are refused or have no effect: being here afterwards is the proof.
	for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGHUP} {
		_ = syscall.Kill(1, s)
	}
	fmt.Println("signals denied")
}

// abstract tries to reach an abstract unix socket of the host.
func abstract(a []string) {
	_, err := net.Dial("unix", "@"+a[0])
	try("abstract", err)
}

// list prints the names in directories.
func list(a []string) {
	for _, dir := range a {
		entries, err := os.ReadDir(dir)
		if err != nil {
			fmt.Println(dir, "denied", err)
			continue
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		fmt.Println(dir, strings.Join(names, " "))
	}
}

// fds prints the open descriptors and what they are, without the one that is used to look.
func fds([]string) {
	for fd := range 64 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && !strings.HasPrefix(to, "anon_inode:") {
			fmt.Println(fd, to)
		}
	}
}

// environs prints what it can read of the environment of the processes that it sees, but for its own.
func environs([]string) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		fmt.Println("denied", err)
		return
	}
	n := 0
	for _, e := range entries {
		if e.Name() < "0" || e.Name() > "9999999" {
			continue
		}
		n++
		if e.Name() == fmt.Sprint(os.Getpid()) {
			continue
		}
		if b, err := os.ReadFile("/proc/" + e.Name() + "/environ"); err == nil {
			fmt.Printf("%s: %q\n", e.Name(), b)
		}
	}
	fmt.Println("saw", n, "processes")
}
