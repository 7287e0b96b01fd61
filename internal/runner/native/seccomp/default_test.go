//go:build linux && (amd64 || arm64)

package seccomp

import (
	_ "embed"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"golang.org/x/sys/unix"
)

func TestDefault(t *testing.T) {
	for _, c := range []struct {
		name string
		call uint32
		args [6]uint64
		want Answer
	}{
		{"read", unix.SYS_READ, [6]uint64{}, Allowed},
		{"execve", unix.SYS_EXECVE, [6]uint64{}, Allowed},
		{"a thread", unix.SYS_CLONE, [6]uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, Allowed},
		{"a user namespace", unix.SYS_CLONE, [6]uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, Refused},
		{"any namespace", unix.SYS_CLONE, [6]uint64{unix.CLONE_NEWNS}, Refused},
		{"clone3", unix.SYS_CLONE3, [6]uint64{}, NoCall},
		{"mount", unix.SYS_MOUNT, [6]uint64{}, Refused},
		{"move_mount", unix.SYS_MOVE_MOUNT, [6]uint64{}, Refused},
		{"open_tree_attr", unix.SYS_OPEN_TREE_ATTR, [6]uint64{}, Refused},
		{"unshare", unix.SYS_UNSHARE, [6]uint64{}, Refused},
		{"setns", unix.SYS_SETNS, [6]uint64{}, Refused},
		{"listns", unix.SYS_LISTNS, [6]uint64{}, Refused},
		{"ptrace", unix.SYS_PTRACE, [6]uint64{}, Refused},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [6]uint64{}, Refused},
		{"pidfd_getfd", unix.SYS_PIDFD_GETFD, [6]uint64{}, Refused},
		{"bpf", unix.SYS_BPF, [6]uint64{}, Refused},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, [6]uint64{}, Refused},
		{"keyctl", unix.SYS_KEYCTL, [6]uint64{}, Refused},
		{"userfaultfd", unix.SYS_USERFAULTFD, [6]uint64{}, Refused},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, [6]uint64{}, Refused},
		{"io_uring_enter", unix.SYS_IO_URING_ENTER, [6]uint64{}, Refused},
		{"io_setup", unix.SYS_IO_SETUP, [6]uint64{}, NoCall},
		{"io_submit", unix.SYS_IO_SUBMIT, [6]uint64{}, NoCall},
		{"kexec_file_load", unix.SYS_KEXEC_FILE_LOAD, [6]uint64{}, Refused},
		{"finit_module", unix.SYS_FINIT_MODULE, [6]uint64{}, Refused},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, [6]uint64{}, Refused},
		{"a call that is not known yet", newest + 1, [6]uint64{}, NoCall},
		{"the x32 form of read", 0x40000000, [6]uint64{}, NoCall},
		{"terminal size", unix.SYS_IOCTL, [6]uint64{0, unix.TIOCGWINSZ}, Allowed},
		{"request with a sign extended", unix.SYS_IOCTL, [6]uint64{0, 0xffffffff80045430}, Allowed},
		{"input of a terminal", unix.SYS_IOCTL, [6]uint64{0, unix.TIOCSTI}, Refused},
		{"input of a terminal, high bits set", unix.SYS_IOCTL, [6]uint64{0, 1<<32 | unix.TIOCSTI}, Refused},
		{"selection of a terminal", unix.SYS_IOCTL, [6]uint64{0, unix.TIOCLINUX}, Refused},
		{"unix socket", unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET | unix.SOCK_CLOEXEC}, Allowed},
		{"tcp", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_NONBLOCK, unix.IPPROTO_TCP}, Allowed},
		{"mptcp", unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, Allowed},
		{"udp", unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM}, Allowed},
		{"ping", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, Allowed},
		{"list of interfaces", unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE}, Allowed},
		{"firewall", unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, Refused},
		{"sctp", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, Refused},
		{"raw", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, Refused},
		{"packet", unix.SYS_SOCKET, [6]uint64{unix.AF_PACKET, unix.SOCK_RAW}, Refused},
		{"vsock", unix.SYS_SOCKET, [6]uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, Refused},
		{"vsock, high bits set", unix.SYS_SOCKET, [6]uint64{1<<32 | unix.AF_VSOCK, unix.SOCK_STREAM}, Refused},
		{"kernel ciphers", unix.SYS_SOCKET, [6]uint64{unix.AF_ALG, unix.SOCK_SEQPACKET}, Refused},
		{"bluetooth", unix.SYS_SOCKET, [6]uint64{unix.AF_BLUETOOTH, unix.SOCK_RAW}, Refused},
		{"pair of unix sockets", unix.SYS_SOCKETPAIR, [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, Allowed},
		{"pair of tipc sockets", unix.SYS_SOCKETPAIR, [6]uint64{unix.AF_TIPC, unix.SOCK_STREAM}, Refused},
		{"what personality", unix.SYS_PERSONALITY, [6]uint64{0xffffffff}, Allowed},
		{"personality without randomness", unix.SYS_PERSONALITY, [6]uint64{0x40000}, Refused},
		{"fifo", unix.SYS_MKNODAT, [6]uint64{0, 0, unix.S_IFIFO | 0o600}, Allowed},
		{"character device", unix.SYS_MKNODAT, [6]uint64{0, 0, unix.S_IFCHR | 0o600}, Refused},
		{"block device", unix.SYS_MKNODAT, [6]uint64{0, 0, unix.S_IFBLK | 0o600}, Refused},
	} {
		if got := run(t, Default(), architecture, c.call, c.args); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
	if got := run(t, Default(), 0x40000003, unix.SYS_READ, [6]uint64{}); got != Kill {
		t.Errorf("a call of a 32-bit program: %#x, want the process killed", got)
	}
}

// What makes roots for others may mount, and no more of what is refused to all.
func TestNested(t *testing.T) {
	for _, c := range []struct {
		name string
		call uint32
		args [6]uint64
		want Answer
	}{
		{"mount", unix.SYS_MOUNT, [6]uint64{}, Allowed},
		{"umount2", unix.SYS_UMOUNT2, [6]uint64{}, Allowed},
		{"chroot", unix.SYS_CHROOT, [6]uint64{}, Allowed},
		{"a mount namespace", unix.SYS_UNSHARE, [6]uint64{unix.CLONE_NEWNS | unix.CLONE_NEWUTS}, Allowed},
		{"a process in a mount namespace", unix.SYS_CLONE, [6]uint64{unix.CLONE_NEWNS | uint64(unix.SIGCHLD)}, Allowed},
		{"a network namespace", unix.SYS_UNSHARE, [6]uint64{unix.CLONE_NEWNET}, Refused},
		{"a process in a pid namespace", unix.SYS_CLONE, [6]uint64{unix.CLONE_NEWNS | unix.CLONE_NEWPID}, Refused},
		{"a cgroup namespace", unix.SYS_UNSHARE, [6]uint64{unix.CLONE_NEWCGROUP}, Refused},
		{"clone3", unix.SYS_CLONE3, [6]uint64{}, NoCall},
		{"setns", unix.SYS_SETNS, [6]uint64{}, Refused},
		{"move_mount", unix.SYS_MOVE_MOUNT, [6]uint64{}, Refused},
		{"fsopen", unix.SYS_FSOPEN, [6]uint64{}, Refused},
		{"a whiteout", unix.SYS_MKNODAT, [6]uint64{0, 0, unix.S_IFCHR, 0}, Allowed},
		{"a device", unix.SYS_MKNODAT, [6]uint64{0, 0, unix.S_IFCHR, 0x103}, Refused},
		{"a disk", unix.SYS_MKNODAT, [6]uint64{0, 0, unix.S_IFBLK, 0}, Refused},
		{"ptrace", unix.SYS_PTRACE, [6]uint64{}, Refused},
		{"bpf", unix.SYS_BPF, [6]uint64{}, Refused},
		{"keyctl", unix.SYS_KEYCTL, [6]uint64{}, Refused},
		{"a module", unix.SYS_FINIT_MODULE, [6]uint64{}, Refused},
		{"input of a terminal", unix.SYS_IOCTL, [6]uint64{0, unix.TIOCSTI}, Refused},
		{"read", unix.SYS_READ, [6]uint64{}, Allowed},
	} {
		if got := run(t, Nested(), architecture, c.call, c.args); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

//go:embed testdata/docker.txt
var docker string

// Where Docker says no to a container without capabilities, so does the default.
func TestDefaultAllowsNoMoreThanDocker(t *testing.T) {
	out, err := exec.Command(need.Program(t, "go"), "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := numbers(t, filepath.Join(strings.TrimSpace(string(out)), "zsysnum_linux_"+runtime.GOARCH+".go"))
	all := Default().Allow
	for n := range bounds() {
		all = append(all, n)
	}
	may := strings.Fields(docker)
	for _, n := range all {
		if name := names[n]; name == "" || !slices.Contains(may, name) {
			t.Errorf("system call %d, %s, is allowed, and Docker does not", n, name)
		}
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != len(Default().Allow)+len(bounds()) {
		t.Error("a system call is listed twice")
	}
}

// numbers reads the system calls of an architecture.
func numbers(t *testing.T, file string) map[uint32]string {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint32]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, is := n.(*ast.ValueSpec)
		if !is || len(v.Values) != 1 {
			return true
		}
		if lit, is := v.Values[0].(*ast.BasicLit); is {
			if i, err := strconv.ParseUint(lit.Value, 0, 32); err == nil {
				all[uint32(i)] = strings.ToLower(strings.TrimPrefix(v.Names[0].Name, "SYS_"))
			}
		}
		return true
	})
	return all
}
