package seccomp

import "golang.org/x/sys/unix"

const architecture = unix.AUDIT_ARCH_AARCH64

// legacy are calls that this architecture never had.
func legacy() []uint32 { return nil }

// makeNode are the calls that make special files, by the argument that says which kind.
func makeNode() map[uint32]int { return map[uint32]int{unix.SYS_MKNODAT: 2} }
