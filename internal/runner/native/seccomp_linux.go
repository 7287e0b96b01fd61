package native

import (
	"encoding/binary"
	"fmt"
	"strings"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// allowed are the system calls that a function may make, whatever their arguments: what programs live on. Not among them, and
// so refused: mounts, namespaces, ptrace and other processes' memory, keys, bpf, perf, io_uring, userfaultfd, modules, kexec,
// clocks, swap, quotas, handles of files, and every call that is newer than this list. After Docker's default profile, less
// what only capabilities open. Names that an architecture has not are left out.
const allowed = `
	accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown clock_getres clock_gettime
	clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3
	epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
	execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat
	fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate
	futex futex_requeue futex_wait futex_waitv futex_wake futimesat
	getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid
	getpriority getrandom getresgid getresuid getrlimit get_robust_list getrusage getsid getsockname getsockopt
	get_thread_area gettid gettimeofday getuid getxattr
	inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup
	io_submit ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self
	lchown lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat
	madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mlock mlock2 mlockall
	mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv
	msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2
	pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2
	prlimit64 process_mrelease pselect6 pwrite64 pwritev pwritev2
	read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr rename renameat renameat2
	restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
	rt_sigtimedwait rt_tgsigqueueinfo
	sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
	sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select
	semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto setfsgid setfsuid setgid setgroups setitimer setpgid
	setpriority setregid setresgid setresuid setreuid setrlimit set_robust_list setsid setsockopt set_thread_area
	set_tid_address setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair splice
	stat statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo
	tee tgkill time timer_create timer_delete timerfd_create timerfd_gettime timerfd_settime timer_getoverrun timer_gettime
	timer_settime times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice
	wait4 waitid write writev`

// namespaces are the flags of clone that make one. // clone(2)
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// families are the kinds of sockets that a function may open: no raw packets, no talk with the hypervisor or with the kernel's
// more obscure parts. AF_NETLINK is for the list of the interfaces.
func families() []uint64 {
	return []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
}

// filter assembles the seccomp program, in the form that the kernel takes: struct sock_filter, one after another.
func filter() (string, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return "", fmt.Errorf("find this architecture's system calls: %w", err)
	}
	free := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	for _, name := range strings.Fields(allowed) {
		if _, known := info.SyscallNames[name]; known {
			free.Names = append(free.Names, name)
		}
	}
	bound := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	permit := func(name string, conditions ...seccomp.Condition) {
		bound.NamesWithCondtions = append(bound.NamesWithCondtions, seccomp.NameWithConditions{Name: name, Conditions: conditions})
	}
	permit("clone", seccomp.Condition{Argument: 0, Operation: seccomp.BitsNotSet, Value: namespaces})
	// Nobody may put words into a terminal's input. The kernel looks at 32 bits of the request and the filter at 64, so what
	// is above must be nothing, or a sign that some C libraries extend. // CVE-2017-5226, CVE-2019-10063
	permit("ioctl", seccomp.Condition{Argument: 1, Operation: seccomp.BitsNotSet, Value: 0xffffffff_00000000},
		seccomp.Condition{Argument: 1, Operation: seccomp.NotEqual, Value: unix.TIOCSTI},
		seccomp.Condition{Argument: 1, Operation: seccomp.NotEqual, Value: unix.TIOCLINUX})
	permit("ioctl", seccomp.Condition{Argument: 1, Operation: seccomp.BitsSet, Value: 0x80000000})
	for _, f := range families() {
		permit("socket", seccomp.Condition{Argument: 0, Operation: seccomp.Equal, Value: f})
	}
	const plain, linux32, whatNow = 0x0, 0x8, 0xffffffff // personality(2)
	for _, p := range []uint64{plain, linux32, whatNow} {
		permit("personality", seccomp.Condition{Argument: 0, Operation: seccomp.Equal, Value: p})
	}
	// Its flags are in memory, where a filter cannot look; without it libraries use clone. // seccomp(2)
	absent := seccomp.SyscallGroup{Names: []string{"clone3"}, Action: seccomp.ActionErrno&^0xffff | seccomp.Action(unix.ENOSYS)}
	policy := seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls:      []seccomp.SyscallGroup{free, bound, absent},
	}
	instructions, err := policy.Assemble()
	if err != nil {
		return "", fmt.Errorf("assemble seccomp policy: %w", err)
	}
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return "", fmt.Errorf("assemble seccomp program: %w", err)
	}
	var b []byte
	for _, i := range raw {
		b = binary.NativeEndian.AppendUint16(b, i.Op)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return string(b), nil
}
