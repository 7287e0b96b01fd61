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
	secrets []string // their lines
	longest int      // bytes of one
}

// hidden takes out these, line by line.
func hidden(secrets []runner.SecretFile) (h hiding) {
	for _, s := range secrets {
		for line := range strings.Lines(string(s.Text)) {
			if line = strings.TrimSpace(line); len(line) >= leastHidden {
				h.secrets = append(h.secrets, line)
				h.longest = max(h.longest, len(line))
			}
		}
	}
	return h
}

// span is from a byte of a line to where it ends.
type span struct{ from, to int }

// found are the secrets in a line, the first one first. Where one begins within another, both are one.
func (h hiding) found(line string) []span {
	var all []span
	for _, secret := range h.secrets {
		for from := 0; ; from++ {
			i := strings.Index(line[from:], secret)
			if i < 0 {
				break
			}
			from += i
			all = append(all, span{from, from + len(secret)})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := all[:0]
	for _, s := range all {
		if last := len(merged) - 1; last >= 0 && s.from < merged[last].to {
			merged[last].to = max(merged[last].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// replaced is a line without the secrets that are whole in it.
func (h hiding) replaced(line string) string {
	var b strings.Builder
	at := 0
	for _, s := range h.found(line) {
		b.WriteString(line[at:s.from])
		b.WriteString(instead)
		at = s.to
	}
	b.WriteString(line[at:])
	return b.String()
}

// tail bounds the bytes that the beginning of a secret is at the end of a line, when of that what it begins with is taken out: a shorter secret.
func (h hiding) tail() int { return h.longest * len(instead) / leastHidden }

// needs is how many bytes of a line have to be there, for the first of them to be known.
func (h hiding) needs(bytes int) int { return bytes + h.longest + h.tail() }

// line is at most so many bytes of one, of which no more than h.needs(most) are there.
func (h hiding) line(line []byte, most int) string {
	text := h.replaced(string(line))
	if len(line) >= h.needs(most) {
		text = text[:max(0, len(text)-h.tail())] // more may have come: it may end with the beginning of a secret
	}
	return text[:min(len(text), most)]
}
