package build

import (
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// dockerfile is what has to be known of one before it is built: that it is one, and which images it begins with. All else is for who builds it.
// docs.docker.com/reference/dockerfile
type dockerfile struct {
	images []string // references, as they are written, without those of its own stages; each once
}

// reading is the state of who reads one.
type reading struct {
	name   string
	args   map[string]string // given from outside
	global map[string]string // ARGs before the first FROM, as far as they have a value
	stages []string          // names, in lower case
	froms  int
	out    dockerfile
}

// instructions are those that there are.
func instructions() []string {
	return []string{"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
}

// readDockerfile reads one. name is for messages, args are the values given from outside.
func readDockerfile(name, text string, args map[string]string) (*dockerfile, error) {
	r := &reading{name: name, args: args, global: map[string]string{}}
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	escape := escapeOf(lines)
	for i := 0; i < len(lines); {
		begin := i
		var joined string
		joined, i = instruction(lines, i, escape)
		if joined == "" {
			continue
		}
		word, rest, _ := strings.Cut(strings.ReplaceAll(joined, "\t", " "), " ")
		if err := r.instruction(begin+1, strings.ToUpper(word), strings.TrimSpace(rest)); err != nil {
			return nil, err
		}
		i = afterDocuments(lines, i, word, rest)
	}
	if r.froms == 0 {
		return nil, fault.New(fault.Invalid, "%s has no FROM", name).WithHint("it begins with FROM IMAGE, or with FROM scratch for an image with nothing in it")
	}
	return &r.out, nil
}

// platformArgs are the arguments that have a value where an ARG before the first FROM names them: an image is built here, for here. (BuildKit knows
// them without that ARG, buildah does not.) // docs.docker.com/reference/dockerfile, "Automatic platform ARGs in the global scope"
func platformArgs() map[string]string {
	all := map[string]string{}
	for _, side := range []string{"TARGET", "BUILD"} {
		all[side+"PLATFORM"], all[side+"OS"], all[side+"ARCH"], all[side+"VARIANT"] = "linux/"+runtime.GOARCH, "linux", runtime.GOARCH, ""
	}
	return all
}

// escapeOf is what goes on with a line in the next, as a comment at the top may say.
func escapeOf(lines []string) string {
	for _, line := range lines {
		comment, is := strings.CutPrefix(strings.TrimSpace(line), "#")
		key, value, directive := strings.Cut(comment, "=")
		if !is || !directive {
			break
		}
		if strings.EqualFold(strings.TrimSpace(key), "escape") && strings.TrimSpace(value) == "`" {
			return "`"
		}
	}
	return `\`
}

// instruction joins the lines of the one that begins at i, without comments and empty lines, and returns it with the line after it.
func instruction(lines []string, i int, escape string) (joined string, next int) {
	var b strings.Builder
	for ; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if strings.HasPrefix(line, "#") || line == "" {
			if b.Len() == 0 {
				return "", i + 1
			}
			continue
		}
		part, more := strings.CutSuffix(line, escape)
		b.WriteString(part)
		if !more {
			return strings.TrimSpace(b.String()), i + 1
		}
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String()), i
}

var document = regexp.MustCompile(`<<-?(["']?)([A-Za-z_][A-Za-z0-9_]*)`)

// afterDocuments is the line after the here-documents that an instruction names, or i.
func afterDocuments(lines []string, i int, word, rest string) int {
	if !slices.Contains([]string{"RUN", "COPY", "ADD"}, strings.ToUpper(word)) {
		return i
	}
	for _, m := range document.FindAllStringSubmatch(rest, -1) {
		end := slices.IndexFunc(lines[i:], func(line string) bool { return strings.Trim(line, "\t\r") == m[2] })
		if end < 0 {
			return i // it is a word of a command
		}
		i += end + 1
	}
	return i
}

func (r *reading) wrong(line int, format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "%s:%d: "+format, append([]any{r.name, line}, args...)...)
}

func (r *reading) instruction(line int, word, rest string) error {
	if !slices.Contains(instructions(), word) {
		e := r.wrong(line, "unknown instruction %s", fault.Clip(word))
		if near := fault.Nearest(word, instructions()); near != nil {
			return e.WithHint("did you mean %s?", strings.Join(near, " or "))
		}
		return e
	}
	if rest == "" {
		return r.wrong(line, "%s says nothing", word)
	}
	if r.froms == 0 && word != "FROM" && word != "ARG" {
		return r.wrong(line, "%s comes before the first FROM", word).WithHint("only ARG may stand there")
	}
	switch word {
	case "ARG":
		if r.froms == 0 {
			r.arg(rest)
		}
	case "FROM":
		return r.from(line, strings.Fields(rest))
	case "COPY", "RUN", "ADD":
		return r.sources(line, strings.Fields(rest))
	}
	return nil
}

// arg notes what the ARGs of a line are worth in the FROMs after it.
func (r *reading) arg(rest string) {
	platform := platformArgs()
	for _, one := range strings.Fields(rest) {
		name, value, has := strings.Cut(one, "=")
		if given, is := r.args[name]; is {
			r.global[name] = given
		} else if has {
			value, _ = r.expand(strings.Trim(value, `"'`))
			r.global[name] = value
		} else if value, is := platform[name]; is {
			r.global[name] = value
		}
	}
}

// from notes the image that a stage begins with, and the stage.
func (r *reading) from(line int, words []string) error {
	r.froms++
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		words = words[1:]
	}
	if len(words) != 1 && (len(words) != 3 || !strings.EqualFold(words[1], "AS")) {
		return r.wrong(line, "FROM is not FROM IMAGE, or FROM IMAGE AS NAME")
	}
	err := r.image(line, words[0])
	name := strconv.Itoa(r.froms - 1)
	if len(words) == 3 {
		name = strings.ToLower(words[2])
	}
	r.stages = append(r.stages, name)
	return err
}

// sources notes the images that an instruction takes files from: COPY --from=IMAGE, RUN --mount=type=bind,from=IMAGE.
func (r *reading) sources(line int, words []string) error {
	for _, w := range words {
		flag, value, _ := strings.Cut(w, "=")
		switch {
		case !strings.HasPrefix(w, "--"):
			return nil
		case flag == "--from":
			if err := r.image(line, value); err != nil {
				return err
			}
		case flag == "--mount":
			for _, option := range strings.Split(value, ",") {
				if ref, is := strings.CutPrefix(option, "from="); is {
					if err := r.image(line, ref); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// image notes one that has to be had from elsewhere.
func (r *reading) image(line int, written string) error {
	ref, ok := r.expand(strings.Trim(written, `"'`))
	if !ok || ref == "" {
		return r.wrong(line, "the image %s has an argument without a value", fault.Clip(written)).
			WithHint("give it one: build: {args: {NAME: VALUE}}, or ARG NAME=VALUE before the first FROM; of those of the platform, such as TARGETARCH, ARG NAME alone")
	}
	_, err := strconv.Atoi(ref) // a stage by its number
	if err == nil || ref == "scratch" || slices.Contains(r.stages, strings.ToLower(ref)) || slices.Contains(r.out.images, ref) {
		return nil
	}
	r.out.images = append(r.out.images, ref)
	return nil
}

var variable = regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])([^}]*))?\})`)

// expand puts arguments in their place; ok is false where one has no value.
func (r *reading) expand(text string) (out string, ok bool) {
	ok = true
	out = variable.ReplaceAllStringFunc(text, func(found string) string {
		m := variable.FindStringSubmatch(found)
		value, has := r.global[m[1]+m[2]]
		set := has && (value != "" || !strings.HasPrefix(m[3], ":"))
		switch {
		case strings.HasSuffix(m[3], "-") && !set:
			return m[4]
		case strings.HasSuffix(m[3], "+"):
			if set {
				return m[4]
			}
			return ""
		}
		ok = ok && has
		return value
	})
	return out, ok && !strings.Contains(out, "$")
}
