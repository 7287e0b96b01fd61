package function

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Values of Build.Type.
const (
	BuildAuto    = "auto"    // by what is in the directory
	BuildNone    = "none"    // the directory is the code
	BuildGo      = "go"      // a static program
	BuildPython  = "python"  // pip puts packages beside the source
	BuildNode    = "node"    // npm does
	BuildRust    = "rust"    // a program
	BuildJava    = "java"    // jars
	BuildCommand = "command" // Build.Command makes the code

	BuildDockerfile = "dockerfile" // an image, which the function is then
)

func buildTypes() []string {
	return []string{BuildAuto, BuildNone, BuildGo, BuildPython, BuildNode, BuildRust, BuildJava, BuildDockerfile, BuildCommand}
}

// BuildTimeout is how long a build may take that says nothing.
const BuildTimeout = Duration(10 * time.Minute)

// Build says how the code is made from its directory. It is no part of a version: what it makes is.
type Build struct {
	Type    string            `json:"type"`
	Target  string            `json:"target,omitempty"`  // of several that a directory can be built to: a Go package, a binary of Rust's, a stage of a Dockerfile
	Command []string          `json:"command,omitempty"` // BuildCommand only
	Output  string            `json:"output,omitempty"`  // BuildCommand only: the directory, below the code's, that is the code then; "" = all of it
	File    string            `json:"file,omitempty"`    // BuildDockerfile only: below the code's directory; "" = one of DockerfileNames
	Args    map[string]string `json:"args,omitempty"`    // BuildDockerfile only: of its ARG instructions
	Secrets []string          `json:"secrets,omitempty"` // BuildDockerfile only: names of secrets that a RUN may mount
	Network string            `json:"network"`           // NetworkEgress or NetworkNone
	Timeout Duration          `json:"timeout"`
}

// Built says how a version's code was made.
type Built struct {
	ID        string    `json:"id"`                  // of the build, whose log has this name
	Builder   string    `json:"builder"`             // the type of the build
	Toolchain string    `json:"toolchain,omitempty"` // as it calls itself
	Source    string    `json:"source"`              // digest of the directory that it was made from
	Started   time.Time `json:"started"`
	Took      Duration  `json:"took"`
	Bases     []Base    `json:"bases,omitempty"` // images that were asked for; BuildDockerfile only
	// How is how it was asked for; nil = a version of an older dalamb.
	How *Build `json:"how,omitempty"`
	// Provenance is a SLSA provenance of the code, signed by the node that has built: a DSSE envelope.
	Provenance json.RawMessage `json:"provenance,omitempty"`
}

func defaultBuild() Build {
	return Build{Type: BuildAuto, Network: NetworkEgress, Timeout: BuildTimeout}
}

func buildNetworks() []string { return []string{NetworkEgress, NetworkNone} }

func buildMember() member[Declared] {
	return field("build", "The node makes the code from the directory: see docs/builds.md. Default: the directory is the code; but where the program of entry.command is not in it and it is source of Go or Rust, type: auto.",
		pointer(object(nil, append([]member[Build]{
			field("type", "auto: by what is in the directory. none: the directory is the code. go, rust: a program, called as entry.command has it. python, node: the directory with the packages that it names. java: what Maven packs. dockerfile: the image of a Dockerfile, which the function is then. command: command makes the code. Default: auto, or command where there is one.", text(buildTypes()...), func(b *Build) *string { return &b.Type }),
			field("target", "type: go: the package, such as ./cmd/pay; default: the one in the directory itself. type: rust: which of several programs; default: the one called as entry.command has it. type: dockerfile: the stage; default: the last one.", text[string](), func(b *Build) *string { return &b.Target }),
			field("command", "type: command only: program and arguments, run in a copy of the directory.", list(word(), none[string]), func(b *Build) *[]string { return &b.Command }),
			field("output", "type: command only: the directory, below code, that is the code then. Default: all of it.", text[string](), func(b *Build) *string { return &b.Output }),
			field("network", "none: the build reaches nothing but what it has kept from builds before. Default: egress, the internet.", text(buildNetworks()...), func(b *Build) *string { return &b.Network }),
			field("timeout", "Bound of the build. Default: 10m, at most 2h.", duration(), func(b *Build) *Duration { return &b.Timeout }),
		}, dockerfileMembers()...)...), defaultBuild), func(d *Declared) **Build { return &d.Build })
}

const (
	maxBuildWords   = 256
	maxBuildCommand = 16 << 10 // bytes; what is signed of a build holds them
	maxBuildTime    = Duration(2 * time.Hour)
)

// Validate checks a Build whose defaults are filled in.
func (b *Build) Validate() error {
	c := new(checker)
	c.build(b)
	if c.problems != nil {
		return &ManifestError{Problems: c.problems}
	}
	return nil
}

func (c *checker) build(b *Build) {
	oneOf(c, "build.type", b.Type, buildTypes())
	oneOf(c, "build.network", b.Network, buildNetworks())
	between(c.at("build.timeout"), b.Timeout, Duration(time.Second), maxBuildTime)
	if b.Type == BuildCommand {
		if len(b.Command) == 0 || b.Command[0] == "" || len(b.Command) > maxBuildWords {
			c.add("build.command", "a list, such as [make, all]", "names no program, or has more than %d words", maxBuildWords)
		}
	} else if len(b.Command) > 0 || b.Output != "" {
		c.add("build.type", "type: command", "%s has neither command nor output", b.Type)
	}
	if b.Target != "" && b.Type != BuildGo && b.Type != BuildRust && b.Type != BuildDockerfile && b.Type != BuildAuto {
		c.add("build.target", "", "is for type: go, rust and dockerfile, and this is type: %s", b.Type)
	}
	c.recipe(b)
	for field, text := range map[string]string{"target": b.Target, "output": b.Output, "file": b.File} {
		clean := strings.TrimSuffix(strings.TrimPrefix(text, "./"), "/")
		if text != "" && clean != "" && (!filepath.IsLocal(clean) || path.Clean(clean) != clean || strings.ContainsAny(text, "\x00\n") || strings.HasPrefix(clean, "-")) {
			c.add("build."+field, "a path such as ./cmd/pay", "%q leads out of the code", clip(text))
		}
	}
	size := 0
	for i, word := range b.Command {
		if size += len(word); strings.ContainsRune(word, 0) || size > maxBuildCommand {
			c.add(fmt.Sprintf("build.command[%d]", i), "put it into a script", "has a zero byte, or with it the command has more than %d bytes", maxBuildCommand)
			break
		}
	}
}

// builds checks what was read of the field; before is how many problems there were without it.
func (p *parser) builds(d *Declared, before int) {
	b := d.Build
	if b == nil {
		return
	}
	if len(b.Command) > 0 && !p.given("build.type") {
		b.Type = BuildCommand
	}
	if d.Spec.Image != "" && d.Spec.Image != ToBeBuilt {
		p.reportAt("build", "a function that is an image is not built", "build the image, or write code and base: IMAGE")
		return
	}
	c := new(checker)
	c.build(b)
	for _, problem := range c.problems {
		if !p.reported(before, problem.Field) {
			p.reportAt(problem.Field, problem.Message, problem.Hint)
		}
	}
}

// marks say by which file a directory is known to be for a builder.
func marks() []struct{ file, builder string } {
	return []struct{ file, builder string }{
		{"go.mod", BuildGo}, {"Cargo.toml", BuildRust}, {"pom.xml", BuildJava}, {"package.json", BuildNode}, {"requirements.txt", BuildPython}, {"pyproject.toml", BuildPython},
	}
}

// Builds says how the code of a function is made, by what is in its directory; nil = the directory is the code. What dalamb took as it is before it
// could build, it takes as it is today: without a word in the manifest only what could not start is built. file and stat are as for CheckProgram.
func (d *Declared) Builds(file string, stat func(path string) (fs.FileInfo, error)) (*Build, error) {
	if d.CodePath == "" || d.Build != nil && d.Build.Type == BuildNone {
		return nil, nil
	}
	if d.Build == nil && !d.lacksProgram(file, stat) {
		return nil, nil
	}
	b := defaultBuild()
	if d.Build != nil {
		b = *d.Build
	}
	if b.Type != BuildAuto {
		return &b, nil
	}
	there := func(name string) bool {
		info, err := stat(filepath.Join(filepath.Dir(file), d.CodePath, name))
		return err == nil && !info.IsDir()
	}
	if d.Spec.Image == ToBeBuilt && !slices.ContainsFunc(DockerfileNames(), there) {
		return nil, fault.New(fault.Invalid, "function %q: entry.command: is missing, and its directory has no Dockerfile that would tell how it is started", d.Spec.Name).
			WithHint("say what is started, such as [./%s]", d.Spec.Name)
	}
	if d.Spec.Image == ToBeBuilt {
		b.Type = BuildDockerfile
		return &b, nil
	}
	var found, files []string
	for _, m := range marks() {
		if there(m.file) {
			if files = append(files, m.file); !slices.Contains(found, m.builder) {
				found = append(found, m.builder)
			}
		}
	}
	switch {
	case len(found) == 1 && (d.Build != nil || compiled(found[0])):
		b.Type = found[0]
		return &b, nil
	case len(found) > 1 && d.Build != nil:
		return nil, fault.New(fault.Invalid, "function %q: %s are in its directory, and each could be what it is built from", d.Spec.Name, strings.Join(files, " and ")).
			WithHint("say which: build: {type: %s}", found[0])
	case len(found) == 0 && d.Build != nil && slices.ContainsFunc(DockerfileNames(), there):
		b.Type = BuildDockerfile
		d.beImage()
		return &b, nil
	case b.Target != "":
		return nil, fault.New(fault.Invalid, "function %q: build.target is %q, and nothing in its directory says how that is built", d.Spec.Name, clip(b.Target)).
			WithHint("say it: build: {type: go}; is code: the directory with go.mod?")
	}
	return nil, nil
}

// compiled says whether a builder makes the program that a function is started from.
func compiled(builder string) bool { return builder == BuildGo || builder == BuildRust }

// lacksProgram says whether the function's program is to be in the code and is not.
func (d *Declared) lacksProgram(file string, stat func(path string) (fs.FileInfo, error)) bool {
	program, ok := d.OwnProgram()
	if !ok {
		return false
	}
	_, err := stat(filepath.Join(filepath.Dir(file), d.CodePath, program))
	return errors.Is(err, fs.ErrNotExist)
}

// OwnProgram is the path, below the code, of the program that the function is started from; false where that is none of the code.
func (d *Declared) OwnProgram() (string, bool) {
	if d.CodePath == "" || d.Spec.Image != "" || len(d.Spec.Entry.Command) == 0 {
		return "", false
	}
	program := d.Spec.Entry.Command[0]
	if filepath.IsAbs(program) || !strings.Contains(program, "/") || !filepath.IsLocal(program) {
		return "", false
	}
	return filepath.Clean(program), true
}
