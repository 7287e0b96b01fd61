package build

import (
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// pythonPlan lays what the source needs beside it, where Python looks first for a program's modules: the directory that it lies in. Nothing is compiled ahead,
// since compiled modules hold the time at which that was done.
func pythonPlan(r *Request) (*plan, error) {
	pip := []string{"python3", "-m", "pip", "install", "--no-input", "--no-compile", "--no-warn-script-location", "--root-user-action=ignore", "--target", "."}
	switch {
	case r.has("requirements.txt"):
		pip = append(pip, "-r", "requirements.txt")
	case r.has("pyproject.toml"):
		pip = append(pip, ".")
	default:
		return nil, lacks(function.BuildPython, "requirements.txt or pyproject.toml")
	}
	return &plan{
		name: "pip", needs: []string{"python3"}, steps: [][]string{{"python3", "-m", "pip", "--version"}, pip}, versioned: true, output: sourceAt,
		env: []string{"PIP_CACHE_DIR=" + cacheAt + "/pip", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_PROGRESS_BAR=off", "PYTHONDONTWRITEBYTECODE=1"},
	}, nil
}

// lacks says that a directory has not what a builder begins with.
func lacks(builder, file string) error {
	return fault.New(fault.Invalid, "there is no %s, which build: {type: %s} begins with", file, builder).
		WithHint("is code the directory that has it?")
}
