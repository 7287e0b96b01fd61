package function

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ToBeBuilt stands for the image of a function that a build makes, until it has.
const ToBeBuilt = "dalamb.internal/to-be-built"

// DockerfileNames are what a Dockerfile is called where nothing else is said, in the order in which they are looked for.
func DockerfileNames() []string { return []string{"Containerfile", "Dockerfile"} }

// Base is an image that another was built upon.
type Base struct {
	Reference string `json:"reference"` // as the registry knows it
	Digest    string `json:"digest"`    // of what the reference named then
}

func dockerfileMembers() []member[Build] {
	return []member[Build]{
		field("file", "type: dockerfile only: the Dockerfile, below code. Default: Containerfile or Dockerfile.", text[string](), func(b *Build) *string { return &b.File }),
		field("args", "type: dockerfile only: values for its ARG instructions. They are no place for secrets: the image shows them.", mapOf(word()), func(b *Build) *map[string]string { return &b.Args }),
		field("secrets", "type: dockerfile only: names of secrets (dalamb secret set) that its RUN --mount=type=secret,id=NAME sees, and no layer keeps.", list(word(), none[string]), func(b *Build) *[]string { return &b.Secrets }),
	}
}

// validStage is how Docker names a stage, without regard to case.
var validStage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

const maxBuildArgs = 64

// recipe checks what is of Dockerfiles alone.
func (c *checker) recipe(b *Build) {
	if b.Type != BuildDockerfile && b.Type != BuildAuto && (b.File != "" || len(b.Args) > 0 || len(b.Secrets) > 0) {
		c.add("build.type", "type: dockerfile", "%s has none of file, args and secrets", b.Type)
		return
	}
	if b.Type == BuildDockerfile && b.Target != "" && !validStage.MatchString(b.Target) {
		c.add("build.target", "such as FROM ... AS release has after AS", "%q is no name of a stage", clip(b.Target))
	}
	if n := max(len(b.Args), len(b.Secrets)); n > maxBuildArgs {
		c.add("build.args", "", "%d are too many for one build; args and secrets may be %d each", n, maxBuildArgs)
		return
	}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(b.Args)) {
		size += len(name) + len(b.Args[name])
		switch {
		case !validEnv.MatchString(name):
			c.add("build.args", "letters, digits and underscores, no digit first", "%q is no name of an argument", clip(name))
		case strings.ContainsAny(b.Args[name], "\x00\n") || size > maxBuildCommand:
			c.add("build.args."+name, "", "has a zero byte or a line end, or with it the arguments have more than %d bytes", maxBuildCommand)
		}
	}
	for i, name := range b.Secrets {
		switch {
		case !ValidValueName(name):
			c.add("build.secrets", nameRule, "%q is no name for a secret", clip(name))
		case slices.Contains(b.Secrets[:i], name):
			c.add("build.secrets", "", "%q is named twice", name)
		}
	}
}

// dockerfile makes the function an image that is to be built where the manifest says so: by the type, or since nothing but an image would tell
// how it is started.
func (p *parser) dockerfile(d *Declared) {
	d.portSaid = p.given("entry.port")
	b := d.Build
	if b == nil || d.Spec.Image != "" || len(b.Command) > 0 || b.Type != BuildDockerfile && (b.Type != BuildAuto || p.given("entry.command")) {
		return
	}
	d.Spec.Image = ToBeBuilt
	if p.given("base") {
		p.reportAt("base", "a function that is built from a Dockerfile has no base", "name it in the Dockerfile: FROM IMAGE")
		d.Spec.Base = ""
	}
}

// beImage makes a function that was read as code an image that is to be built.
func (d *Declared) beImage() {
	d.Spec.Image, d.Spec.Base = ToBeBuilt, ""
	if d.Spec.Entry.Type == EntryHTTP && !d.portSaid {
		d.Spec.Entry.Port = 0
	}
}
