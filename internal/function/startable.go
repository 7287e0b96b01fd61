package function

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Unstartable says what a function's command needs that it does not find, as far as its code tells: every start would fail. code is the code
// directory. What an image has is not known here.
func (s *Spec) Unstartable(code fs.FS) []string {
	if len(s.Entry.Command) == 0 || s.Base != BaseHost && s.Base != baseScratch {
		return nil
	}
	var problems []string
	program, own := below(s.Entry.Command[0])
	switch {
	case s.Base == baseScratch && !own:
		problems = append(problems, fmt.Sprintf("entry.command starts %q, and base: scratch has nothing but the code: base: host has the programs of the machine, base: IMAGE those of an image", clip(s.Entry.Command[0])))
	case s.Base == baseScratch:
		if by := interpreterOf(code, program); by != "" {
			problems = append(problems, fmt.Sprintf("%q is started by %q, and base: scratch has nothing but the code: link the program statically (Go: CGO_ENABLED=0), or say base: host", clip(program), clip(by)))
		}
	}
	if file := s.script(); file != "" && !found(code, file) {
		problems = append(problems, fmt.Sprintf("entry.command gives %s the file %q, which is not in the code: is it in the directory that code: names, and not left out by .dalambignore?", path.Base(s.Entry.Command[0]), clip(file)))
	}
	return problems
}

// taskAt is where an instance sees its code, when it has a file system of its own.
const taskAt = "/var/task"

// below is a word of a command as a path below the code; false where it is none.
func below(word string) (string, bool) {
	if rest, ok := strings.CutPrefix(word, taskAt+"/"); ok {
		word = "./" + rest
	}
	if path.IsAbs(word) || !strings.Contains(word, "/") {
		return "", false
	}
	word = path.Clean(word)
	return word, fs.ValidPath(word)
}

// scripted are programs whose first argument that is no option is a file.
var scripted = regexp.MustCompile(`^(python[0-9.]*|node|(ba|da|)sh|ruby|perl|php)$`)

// plainOptions of theirs take no value and change nothing about that.
func plainOptions() []string {
	return []string{"-u", "-B", "-O", "-OO", "-I", "-E", "-s", "-eu", "-ex", "--enable-source-maps"}
}

// script is the file below the code that an interpreter is given; "" = there is none, or none that can be told.
func (s *Spec) script() string {
	command := s.Entry.Command
	program, args := path.Base(command[0]), command[1:]
	switch {
	case program == "java":
		i := slices.Index(args, "-jar")
		if i < 0 {
			return ""
		}
		args = args[i+1:]
	case !scripted.MatchString(program):
		return ""
	}
	for len(args) > 0 && slices.Contains(plainOptions(), args[0]) {
		args = args[1:]
	}
	if len(args) == 0 || args[0] == "" || strings.HasPrefix(args[0], "-") {
		return ""
	}
	file := args[0]
	if !path.IsAbs(file) {
		file = "./" + file
	}
	if file, ok := below(file); ok {
		return file
	}
	return ""
}

// found says whether the code has a file, or one that an interpreter takes for it.
func found(code fs.FS, file string) bool {
	return slices.ContainsFunc([]string{"", ".js", ".mjs", ".cjs"}, func(ending string) bool {
		_, err := fs.Stat(code, file+ending)
		return err == nil
	})
}

// interpreterOf is the program that the system would start a program of the code with; "" = the program itself, or it cannot be told.
func interpreterOf(code fs.FS, program string) string {
	f, err := code.Open(program)
	if err != nil {
		return ""
	}
	defer f.Close()
	if r, ok := f.(io.ReaderAt); ok {
		return interpreter(r)
	}
	return ""
}

const (
	maxInterpreter = 256 // bytes of its path; Linux takes as many of a script's first line
	elfHeader      = 64  // bytes // man 5 elf: Elf64_Ehdr
	elfSegment     = 56  // bytes // Elf64_Phdr
	elfMaxSegments = 128
	elfInterpreter = 3 // PT_INTERP
)

// interpreter reads it from the first line of a script, or from a program for 64 bits. It may be given anything.
func interpreter(r io.ReaderAt) string {
	head := make([]byte, maxInterpreter)
	n, _ := r.ReadAt(head, 0)
	head = head[:n]
	if line, ok := strings.CutPrefix(string(head), "#!"); ok {
		line, _, _ = strings.Cut(line, "\n")
		if words := strings.Fields(line); len(words) > 0 {
			return words[0]
		}
		return ""
	}
	if n < elfHeader || string(head[:6]) != "\x7fELF\x02\x01" {
		return ""
	}
	at, size, count := binary.LittleEndian.Uint64(head[32:]), binary.LittleEndian.Uint16(head[54:]), binary.LittleEndian.Uint16(head[56:])
	if size != elfSegment || at > 1<<40 {
		return ""
	}
	for i := range min(int64(count), elfMaxSegments) {
		segment := make([]byte, elfSegment)
		if _, err := r.ReadAt(segment, int64(at)+i*elfSegment); err != nil {
			return ""
		}
		if binary.LittleEndian.Uint32(segment) != elfInterpreter {
			continue
		}
		from, length := binary.LittleEndian.Uint64(segment[8:]), binary.LittleEndian.Uint64(segment[32:])
		if from > 1<<40 || length > maxInterpreter {
			return ""
		}
		name := make([]byte, length)
		if _, err := r.ReadAt(name, int64(from)); err != nil {
			return ""
		}
		return strings.TrimRight(string(name), "\x00")
	}
	return ""
}
