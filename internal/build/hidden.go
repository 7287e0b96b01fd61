package build

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/runner"
)

// leastHidden is how many bytes of a secret's line are looked for in a log: of fewer, much would be hidden that is none.
const leastHidden = 4

// instead is what a log says in the place of a secret.
const instead = "[secret]"

// hiding takes secrets out of lines.
type hiding struct {
	secrets *strings.Replacer
	longest int // bytes of a secret
}

// hidden takes out these, line by line: the longer ones first, which may begin as a shorter one does.
func hidden(secrets []runner.SecretFile) hiding {
	var lines []string
	for _, s := range secrets {
		for line := range strings.Lines(string(s.Text)) {
			if line = strings.TrimSpace(line); len(line) >= leastHidden {
				lines = append(lines, line)
			}
		}
	}
	slices.SortFunc(lines, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var h hiding
	var pairs []string
	for _, line := range lines {
		h.longest = max(h.longest, len(line))
		pairs = append(pairs, line, instead)
	}
	h.secrets = strings.NewReplacer(pairs...)
	return h
}

// tail bounds the bytes that the beginning of a secret is at the end of a line, when of that what it begins with is taken out: a shorter secret.
func (h hiding) tail() int { return h.longest * len(instead) / leastHidden }

// needs is how many bytes of a line have to be there, for the first of them to be known.
func (h hiding) needs(bytes int) int { return bytes + h.longest + h.tail() }

// line is at most so many bytes of one, of which no more than h.needs(most) are there.
func (h hiding) line(line []byte, most int) string {
	text := h.secrets.Replace(string(line))
	if len(line) >= h.needs(most) {
		text = text[:max(0, len(text)-h.tail())] // more may have come: it may end with the beginning of a secret
	}
	return text[:min(len(text), most)]
}
