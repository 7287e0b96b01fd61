package seccomp

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"
)

// run lets a machine that is not the kernel's run the program of p. It reads what it looks at with the high byte first.
func run(t interface{ Fatal(...any) }, p *Policy, arch, call uint32, args [6]uint64) Answer {
	text, err := p.Program()
	if err != nil {
		t.Fatal(err)
	}
	var program []bpf.Instruction
	for b := []byte(text); len(b) > 0; b = b[8:] {
		raw := bpf.RawInstruction{Op: binary.LittleEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.LittleEndian.Uint32(b[4:])}
		program = append(program, raw.Disassemble())
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	data := binary.BigEndian.AppendUint32(nil, call)
	data = binary.BigEndian.AppendUint32(data, arch)
	data = binary.BigEndian.AppendUint64(data, 0x7fff_0000_1234) // the instruction that calls
	for _, a := range args {
		data = binary.BigEndian.AppendUint32(data, uint32(a))
		data = binary.BigEndian.AppendUint32(data, uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return Answer(uint32(got))
}

func TestProgramDoesWhatThePolicySays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint32Range(0, 300)
		check := rapid.Custom(func(t *rapid.T) Check {
			mask := rapid.SampledFrom([]uint32{0x1, 0xf, 0xf000, ^uint32(0)}).Draw(t, "mask")
			return Check{Arg: rapid.IntRange(0, 5).Draw(t, "arg"), Mask: mask, Value: rapid.Uint32Range(0, 3).Draw(t, "value") & mask, Not: rapid.Bool().Draw(t, "not")}
		})
		clause := rapid.Map(rapid.SliceOfN(check, 1, 4), func(c []Check) Clause { return c })
		p := &Policy{
			Arch: 7, Newest: rapid.Uint32Range(0, 301).Draw(t, "newest"),
			Allow: rapid.SliceOf(number).Draw(t, "allow"), Absent: rapid.SliceOfN(number, 0, 3).Draw(t, "absent"),
			Bound: rapid.MapOfN(number, rapid.SliceOfN(clause, 1, 20), 0, 8).Draw(t, "bound"),
		}
		for range 20 {
			var args [6]uint64
			for i := range args {
				args[i] = rapid.SampledFrom([]uint64{0, 1, 2, 3, 0x1000, 1 << 32, 1<<32 | 2, ^uint64(0)}).Draw(t, "value of an argument")
			}
			arch := rapid.SampledFrom([]uint32{7, 7, 7, 8}).Draw(t, "arch")
			call := rapid.OneOf(rapid.Uint32Range(0, 310), rapid.SampledFrom([]uint32{0x40000000, 0x7fffffff, ^uint32(0)})).Draw(t, "call")
			if got, want := run(t, p, arch, call, args), p.Answer(arch, call, args); got != want {
				t.Fatalf("program(arch %d, call %d, %x) = %x, want %x", arch, call, args, got, want)
			}
		}
	})
}

func TestLongProgramsJumpFar(t *testing.T) {
	p := &Policy{Newest: 5000}
	for n := uint32(0); n < 2000; n += 2 {
		p.Allow = append(p.Allow, n)
	}
	for _, n := range []uint32{0, 1, 2, 777, 778, 1998, 1999, 2000, 5000, 5001} {
		if got, want := run(t, p, 0, n, [6]uint64{}), p.Answer(0, n, [6]uint64{}); got != want {
			t.Errorf("program(%d) = %x, want %x", n, got, want)
		}
	}
	p.Newest = 10_000
	for n := uint32(2000); n < 8000; n += 2 {
		p.Allow = append(p.Allow, n)
	}
	if _, err := p.Program(); err == nil {
		t.Error("a program beyond what the kernel takes was assembled")
	}
	if _, err := (&Policy{Bound: map[uint32][]Clause{1: {slices.Repeat(Clause{{}}, 200)}}}).Program(); err == nil {
		t.Error("a clause beyond what a jump reaches was assembled")
	}
}
