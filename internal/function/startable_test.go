package function

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"
	"testing/fstest"
)

// program is an ELF file that asks for an interpreter; "" = it is static.
func program(by string) string {
	var b bytes.Buffer
	h := elf.Header64{Phoff: elfHeader, Phentsize: elfSegment, Phnum: 2}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	kind := elf.PT_INTERP
	if by == "" {
		kind = elf.PT_NOTE
	}
	for _, part := range []any{h, elf.Prog64{Type: uint32(elf.PT_LOAD)}, elf.Prog64{Type: uint32(kind), Off: elfHeader + 2*elfSegment, Filesz: uint64(len(by) + 1)}, append([]byte(by), 0)} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return b.String()
}

func TestWhatCannotBeStartedIsTold(t *testing.T) {
	code := fstest.MapFS{}
	for name, text := range map[string]string{
		"main.py": "x", "index.js": "x", "run.sh": "#!/bin/sh\n", "static": program(""), "linked": program("/lib64/ld-linux-x86-64.so.2"), "lib/a.jar": "x",
	} {
		code[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o755}
	}
	for _, c := range []struct {
		base, command string
		want          string // "" = nothing is told
	}{
		{"host", "python3 main.py", ""},
		{"host", "python3 -u app.py", `gives python3 the file "app.py"`},
		{"host", "/usr/bin/python3.12 /var/task/app.py", `gives python3.12 the file "app.py"`},
		{"host", "python3 /opt/app.py", ""},
		{"host", "python3 -m app", ""},
		{"host", "python3 ../app.py", ""},
		{"host", "node index", ""},
		{"host", "node index.ts", `gives node the file "index.ts"`},
		{"host", "node --eval 1", ""},
		{"host", "sh -c app.sh", ""},
		{"host", "java -Xmx64m -jar lib/a.jar", ""},
		{"host", "java -jar b.jar", `gives java the file "b.jar"`},
		{"host", "java -cp lib/* Main", ""},
		{"host", "make missing", ""},
		{"host", "python3", ""},
		{"host", "./run.sh missing.py", ""},
		{"scratch", "./static", ""},
		{"scratch", "/var/task/static", ""},
		{"scratch", "./linked", `"linked" is started by "/lib64/ld-linux-x86-64.so.2"`},
		{"scratch", "./run.sh", `"run.sh" is started by "/bin/sh"`},
		{"scratch", "python3 main.py", `entry.command starts "python3"`},
		{"scratch", "/usr/bin/python3 main.py", `entry.command starts "/usr/bin/python3"`},
		{"scratch", "./gone", ""}, // the program itself is refused by CheckProgram
		{"debian:12", "python3 app.py", ""},
	} {
		s := &Spec{Base: c.base, Entry: Entry{Command: strings.Fields(c.command)}}
		got := strings.Join(s.Unstartable(code), "; ")
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("Unstartable of %s on %s = %q, want %q", c.command, c.base, got, c.want)
		}
	}
}

func FuzzInterpreter(f *testing.F) {
	for _, seed := range []string{"", "#!", "#!/bin/sh -e\n", "#! /usr/bin/env python3", program(""), program("/lib/ld.so"), program("/lib/ld.so")[:100], strings.Repeat("\xff", 300)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got := interpreter(bytes.NewReader(text)); len(got) > maxInterpreter {
			t.Errorf("interpreter is %d bytes long", len(got))
		}
	})
}
