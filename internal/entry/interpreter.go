package entry

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// The kernel says "no such file or directory" of a program that is there too, when what it needs to run is not: a script's interpreter, or
// the loader of a program that is linked dynamically.

// taskRoot is where a function sees its code.
const taskRoot = "/var/task"

// lacksInterpreter says what the command needs that is not there; "" = nothing that is known.
func (in *instance) lacksInterpreter() string {
	command := in.start.Version.Spec.Entry.Command
	if len(command) == 0 || !strings.Contains(command[0], "/") {
		return ""
	}
	work := taskRoot
	if img := in.start.Version.Image; img != nil && img.WorkDir != "" {
		work = img.WorkDir
	}
	file := command[0]
	if !path.IsAbs(file) {
		file = path.Join(work, file)
	}
	if below, ok := strings.CutPrefix(path.Clean(file), taskRoot+"/"); ok && in.start.CodeDir != "" {
		return needs(in.start.CodeDir, below)
	}
	for i := len(in.start.Root) - 1; i >= 0; i-- { // the highest layer's is the one that counts
		if text := needs(in.start.Root[i], strings.TrimPrefix(path.Clean(file), "/")); text != "" {
			return text
		}
	}
	return ""
}

// needs says what a program of a directory needs to run. The directory is somebody else's: nothing but a plain file in it is opened.
func needs(dir, name string) string {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ""
	}
	defer root.Close()
	if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	var head [256]byte // BINPRM_BUF_SIZE: what the kernel looks at // execve(2)
	n, _ := io.ReadFull(f, head[:])
	if interpreter, ok := shebang(head[:n]); ok {
		if strings.HasSuffix(interpreter, "\r") {
			return fmt.Sprintf("its first line ends with a carriage return, so that its interpreter would be %q; write it with line feeds alone", interpreter)
		}
		return fmt.Sprintf("its interpreter %s is not there; install that beside it, or choose a base that has it", interpreter)
	}
	if loader := loaderOf(f); loader != "" {
		return fmt.Sprintf("its loader %s is not there, since it is linked dynamically; link it statically, or choose a base that has it", loader)
	}
	return ""
}

// shebang is the interpreter of a script. // execve(2), "Interpreter scripts"
func shebang(head []byte) (interpreter string, ok bool) {
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return "", false
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	line = bytes.TrimLeft(line, " \t")
	if end := bytes.IndexAny(line, " \t\x00"); end >= 0 {
		line = line[:end]
	}
	return strings.ToValidUTF8(string(line), "\uFFFD"), len(line) > 0
}

// Bounds of what is believed of an ELF file, which is somebody else's: program headers, and bytes of the loader's name.
const (
	maxHeaders = 128
	maxLoader  = 4 << 10
)

// loaderOf is the program that the kernel starts instead of a 64-bit ELF file; "" = none, or it is no such file. // elf(5)
func loaderOf(f io.ReaderAt) string {
	var head [64]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || !bytes.HasPrefix(head[:], []byte("\x7fELF\x02\x01")) { // 64 bits, little-endian
		return ""
	}
	le := binary.LittleEndian
	at, size, count := int64(le.Uint64(head[32:])), int64(le.Uint16(head[54:])), int64(le.Uint16(head[56:]))
	if at < 0 || size < 56 || count > maxHeaders {
		return ""
	}
	for range count {
		var h [56]byte
		if _, err := f.ReadAt(h[:], at); err != nil {
			return ""
		}
		at += size
		const interp = 3 // PT_INTERP
		offset, length := int64(le.Uint64(h[8:])), le.Uint64(h[32:])
		if le.Uint32(h[:]) != interp || length > maxLoader {
			continue
		}
		name := make([]byte, length)
		if _, err := f.ReadAt(name, offset); err != nil {
			return ""
		}
		return strings.ToValidUTF8(string(bytes.TrimRight(name, "\x00")), "\uFFFD")
	}
	return ""
}

// cannotStart is the failure of a command that could not be run.
func (in *instance) cannotStart(why string) *function.Failure {
	command := strings.Join(in.start.Version.Spec.Entry.Command, " ")
	if strings.HasSuffix(why, "no such file or directory") {
		if lacks := in.lacksInterpreter(); lacks != "" {
			why = lacks
		}
	}
	return &function.Failure{
		Type:    "Runtime.InvalidEntrypoint",
		Message: fmt.Sprintf("function %s cannot start %q: %s", in.start.Version.Function(), command, why),
	}
}
