package build

import (
	"path"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// rustPlan makes a program for each function, of the one that the package makes, or of the one that target names among several.
func rustPlan(r *Request) (*plan, error) {
	for _, file := range []string{"Cargo.toml", "Cargo.lock"} {
		if !r.has(file) {
			return nil, lacks(function.BuildRust, file)
		}
	}
	if len(r.Programs) == 0 {
		return nil, fault.New(fault.Invalid, "function %q: build: {type: rust} makes a program, and entry.command names none of the code", r.Function).
			WithHint("the first word of entry.command is what the program is called: [./%s]", r.Function)
	}
	p := &plan{name: "cargo", needs: []string{"cargo", "cc"}, steps: [][]string{{"cargo", "--version"}}, versioned: true, output: outAt,
		env: []string{"CARGO_HOME=" + cacheAt + "/cargo", "CARGO_TARGET_DIR=" + cacheAt + "/cargo-target", "CARGO_TERM_COLOR=never", "CARGO_TERM_PROGRESS_WHEN=never"}}
	for _, program := range r.Programs {
		name := r.Build.Target
		if name == "" {
			name = path.Base(program)
		}
		p.steps = append(p.steps,
			[]string{"cargo", "build", "--release", "--locked", "--bin", name},
			[]string{"mkdir", "-p", path.Dir(path.Join(outAt, program))},
			[]string{"cp", path.Join(cacheAt, "cargo-target/release", name), path.Join(outAt, program)})
	}
	return p, nil
}
