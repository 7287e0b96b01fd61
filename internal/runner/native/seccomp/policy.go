// Package seccomp owns which system calls a function may make, and makes of that the program that the kernel runs before each of
// them. It does not load the program: the sandbox's init does, after it has dropped all else.
package seccomp

import (
	"cmp"
	"slices"
)

// Check is a condition on an argument: of its bits in Mask, those in Value are set and the others are not; or, with Not, anything
// but that. Only the low half of an argument is looked at, which is all of it where the kernel takes an int.
type Check struct {
	Arg         int // from 0
	Mask, Value uint32
	Not         bool
}

// Clause holds when all of its checks do.
type Clause []Check

// Policy says what becomes of a system call by its number and arguments.
type Policy struct {
	Arch   uint32              // AUDIT_ARCH_*; a call by the rules of another one ends the process
	Allow  []uint32            // whatever their arguments
	Bound  map[uint32][]Clause // allowed when one of the clauses holds, else EPERM
	Absent []uint32            // ENOSYS, as on a kernel that does not have them
	Newest uint32              // what is beyond is absent; up to it, what is not named is refused with EPERM
}

// Answer is what the kernel does: one of SECCOMP_RET_*. // seccomp(2)
type Answer uint32

// The answers that a Policy gives.
const (
	Kill    Answer = 0x80000000 // SECCOMP_RET_KILL_PROCESS
	Allowed Answer = 0x7fff0000 // SECCOMP_RET_ALLOW
	Refused Answer = 0x00050001 // SECCOMP_RET_ERRNO, EPERM
	NoCall  Answer = 0x00050026 // SECCOMP_RET_ERRNO, ENOSYS
)

// Answer says what becomes of one call: what the assembled program does, in plain words.
func (p *Policy) Answer(arch, call uint32, args [6]uint64) Answer {
	if arch != p.Arch {
		return Kill
	}
	clauses := p.Bound[call]
	switch {
	case slices.ContainsFunc(clauses, func(c Clause) bool { return c.holds(args) }):
		return Allowed
	case clauses != nil:
		return Refused
	case slices.Contains(p.Allow, call):
		return Allowed
	case call > p.Newest || slices.Contains(p.Absent, call):
		return NoCall
	}
	return Refused
}

func (c Clause) holds(args [6]uint64) bool {
	return !slices.ContainsFunc(c, func(k Check) bool { return (uint32(args[k.Arg])&k.Mask == k.Value) == k.Not })
}

// span is a stretch of numbers, from first to the next span, that the same becomes of.
type span struct {
	first   uint32
	answer  Answer
	clauses []Clause // instead of answer
}

// spans covers all numbers, in their order.
func (p *Policy) spans() []span {
	marked := map[uint32]span{}
	for _, n := range p.Absent {
		marked[n] = span{answer: NoCall}
	}
	for _, n := range p.Allow {
		marked[n] = span{answer: Allowed}
	}
	for n, clauses := range p.Bound {
		marked[n] = span{clauses: clauses}
	}
	var all []span
	for n, s := range marked {
		s.first = n
		all = append(all, s)
		if _, next := marked[n+1]; !next && n != p.Newest {
			all = append(all, span{first: n + 1, answer: p.Answer(p.Arch, n+1, [6]uint64{})})
		}
	}
	if _, first := marked[0]; !first {
		all = append(all, span{answer: Refused})
	}
	if _, beyond := marked[p.Newest+1]; !beyond {
		all = append(all, span{first: p.Newest + 1, answer: NoCall})
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	return slices.CompactFunc(all, func(a, b span) bool { return a.clauses == nil && b.clauses == nil && a.answer == b.answer })
}
