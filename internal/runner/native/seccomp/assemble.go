package seccomp

import (
	"encoding/binary"
	"fmt"
)

// Places in what a program looks at, struct seccomp_data. Both architectures are little-endian: the low half comes first. // seccomp(2)
const (
	atCall = 0
	atArch = 4
	atArgs = 16
)

// Operations of the kernel's classic BPF. // linux/bpf_common.h, linux/filter.h
const (
	load      = 0x20 // BPF_LD | BPF_W | BPF_ABS
	and       = 0x54 // BPF_ALU | BPF_AND | BPF_K
	jump      = 0x05 // BPF_JMP | BPF_JA
	ifEqual   = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	ifAtLeast = 0x35 // BPF_JMP | BPF_JGE | BPF_K
	give      = 0x06 // BPF_RET | BPF_K

	mostInstructions = 4096 // BPF_MAXINSNS
	farthest         = 255  // that a conditional jump reaches
)

type instruction struct {
	op       uint16
	yes, not uint8 // instructions to pass by when the condition holds, or does not
	k        uint32
}

// Program is p in the form that the kernel takes: struct sock_filter, one after another. It finds a call by halving, so that the
// often used and the rare ones cost alike: some ten instructions.
func (p *Policy) Program() (string, error) {
	body, err := tree(p.spans())
	if err != nil {
		return "", err
	}
	all := append([]instruction{
		{op: load, k: atArch},
		{op: ifEqual, yes: 1, k: p.Arch},
		{op: give, k: uint32(Kill)},
		{op: load, k: atCall},
	}, body...)
	if len(all) > mostInstructions {
		return "", fmt.Errorf("assemble the system call filter: %d instructions, and the kernel takes %d", len(all), mostInstructions)
	}
	var b []byte
	for _, i := range all {
		b = binary.LittleEndian.AppendUint16(b, i.op)
		b = append(b, i.yes, i.not)
		b = binary.LittleEndian.AppendUint32(b, i.k)
	}
	return string(b), nil
}

func tree(s []span) ([]instruction, error) {
	if len(s) == 1 {
		if s[0].clauses == nil {
			return []instruction{{op: give, k: uint32(s[0].answer)}}, nil
		}
		return bound(s[0].clauses)
	}
	half := len(s) / 2
	low, err := tree(s[:half])
	if err != nil {
		return nil, err
	}
	high, err := tree(s[half:])
	if err != nil {
		return nil, err
	}
	var code []instruction
	if len(low) <= farthest {
		code = []instruction{{op: ifAtLeast, k: s[half].first, yes: uint8(len(low))}}
	} else {
		code = []instruction{{op: ifAtLeast, k: s[half].first, not: 1}, {op: jump, k: uint32(len(low))}}
	}
	return append(append(code, low...), high...), nil
}

// bound tries one clause after another.
func bound(clauses []Clause) ([]instruction, error) {
	var code []instruction
	for _, c := range clauses {
		one := []instruction{{op: give, k: uint32(Allowed)}}
		for i := len(c) - 1; i >= 0; i-- {
			if len(one) > farthest {
				return nil, fmt.Errorf("assemble the system call filter: a clause of %d checks is too long", len(c))
			}
			test := instruction{op: ifEqual, not: uint8(len(one)), k: c[i].Value}
			if c[i].Not {
				test.yes, test.not = test.not, 0
			}
			look := []instruction{{op: load, k: uint32(atArgs + 8*c[i].Arg)}}
			if c[i].Mask != ^uint32(0) {
				look = append(look, instruction{op: and, k: c[i].Mask})
			}
			one = append(append(look, test), one...)
		}
		code = append(code, one...)
	}
	return append(code, instruction{op: give, k: uint32(Refused)}), nil
}
