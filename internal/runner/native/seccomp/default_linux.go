//go:build amd64 || arm64

package seccomp

import "golang.org/x/sys/unix"

// namespaces are the flags of clone that make one. // clone(2)
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// Default is what every function may do.
func Default() *Policy {
	return &Policy{Arch: architecture, Allow: allowed(), Bound: bounds(), Absent: absent(), Newest: newest}
}

// whole compares all bits.
const whole = ^uint32(0)

func is(arg int, value uint32) Check { return Check{Arg: arg, Mask: whole, Value: value} }

func isNot(arg int, value uint32) Check { return Check{Arg: arg, Mask: whole, Value: value, Not: true} }

// bounds are the calls that are allowed in part.
func bounds() map[uint32][]Clause {
	b := map[uint32][]Clause{
		unix.SYS_CLONE: {{{Arg: 0, Mask: namespaces}}},
		// Nobody may put words into a terminal's input. The kernel takes the low half of the request, as this does. // CVE-2017-5226,
		// CVE-2019-10063
		unix.SYS_IOCTL:      {{isNot(1, unix.TIOCSTI), isNot(1, unix.TIOCLINUX)}},
		unix.SYS_SOCKET:     sockets(),
		unix.SYS_SOCKETPAIR: {{is(0, unix.AF_UNIX)}},
	}
	for _, p := range []uint32{0x0, 0x8, 0x20000, 0x20008, whole} { // PER_LINUX, PER_LINUX32, both with UNAME26, or only to ask // personality(2)
		b[unix.SYS_PERSONALITY] = append(b[unix.SYS_PERSONALITY], Clause{is(0, p)})
	}
	for call, mode := range makeNode() {
		for _, kind := range []uint32{0, unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK} { // no devices // mknod(2)
			b[call] = append(b[call], Clause{{Arg: mode, Mask: unix.S_IFMT, Value: kind}})
		}
	}
	return b
}

// sockets are those that a function may open. Not among them: raw and packet sockets, AF_ALG (the kernel's ciphers), AF_VSOCK (talk
// with the hypervisor), and all families and protocols whose code the kernel would load only for this. Of netlink, the one protocol
// that lists interfaces and addresses.
func sockets() []Clause {
	const kindBits = 0xf // of the type, without SOCK_NONBLOCK and SOCK_CLOEXEC // socket(2)
	all := []Clause{{is(0, unix.AF_UNIX)}, {is(0, unix.AF_NETLINK), is(2, unix.NETLINK_ROUTE)}}
	protocols := []struct {
		kind  uint32
		among []uint32
	}{
		{unix.SOCK_STREAM, []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_MPTCP}},
		{unix.SOCK_DGRAM, []uint32{0, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6}},
	}
	for _, family := range []uint32{unix.AF_INET, unix.AF_INET6} {
		for _, p := range protocols {
			for _, protocol := range p.among {
				all = append(all, Clause{is(0, family), {Arg: 1, Mask: kindBits, Value: p.kind}, is(2, protocol)})
			}
		}
	}
	return all
}
