package function

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// CheckProgram looks for a program below the code that could not be started: each run would fail. nil = it can be, or is for the node to
// find. file is the manifest's; stat follows links, and gets paths that begin where the manifest's does.
func (d *Declared) CheckProgram(file string, stat func(path string) (fs.FileInfo, error)) *Problem {
	if d.CodePath == "" || d.Spec.Image != "" || len(d.Spec.Entry.Command) == 0 {
		return nil // what the image has is for the node to find
	}
	program := d.Spec.Entry.Command[0]
	if filepath.IsAbs(program) || !strings.Contains(program, "/") {
		return nil // found on the instance's file system
	}
	code := filepath.Join(filepath.Dir(file), d.CodePath)
	at := filepath.Join(code, program)
	info, err := stat(at)
	message, hint := fmt.Sprintf("%q is not in the code", program), ""
	switch {
	case !filepath.IsLocal(program):
		hint = "a program with a slash is relative to " + code
	case err != nil:
		hint = code + " has no such file"
	case info.IsDir():
		hint = at + " is a directory"
	case info.Mode().Perm()&0o111 == 0:
		message, hint = fmt.Sprintf("%q is not executable", program), "chmod +x "+at
	default:
		return nil
	}
	return &Problem{File: file, Line: d.program.Line, Column: d.program.Column, Field: "entry.command", Message: message, Hint: hint}
}
