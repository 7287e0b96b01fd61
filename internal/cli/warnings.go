package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/wire"
)

// namedMost is how many functions a warning names that several share.
const namedMost = 5

// warnOfFences says what the fences of functions lack, once for those that lack the same.
func warnOfFences(w io.Writer, fs []wire.FunctionSummary) {
	var kinds []string
	by := map[string][]string{}
	for _, f := range fs {
		if len(f.Lacks) == 0 {
			continue
		}
		lacks := strings.Join(f.Lacks, ", ")
		if by[lacks] == nil {
			kinds = append(kinds, lacks)
		}
		by[lacks] = append(by[lacks], f.Name)
	}
	for _, lacks := range kinds {
		fmt.Fprintf(w, "warning: %s: not fenced whole; what is lacking: %s; dalamb doctor says why\n", names(by[lacks]), lacks)
	}
}

// names lists some names, and how many more there are.
func names(all []string) string {
	if len(all) <= namedMost {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:namedMost], ", "), len(all)-namedMost)
}

// warnOfTroubles says what keeps functions from having the instances that they ask for.
func warnOfTroubles(w io.Writer, all []wire.Trouble, now time.Time) {
	for _, t := range all {
		fmt.Fprintf(w, "warning: %s%s\n", t.Function, aboutTrouble(t, now))
	}
}

func aboutTrouble(t wire.Trouble, now time.Time) string {
	text := ": "
	if t.Version != 0 {
		text = fmt.Sprintf(" version %d: ", t.Version)
	}
	switch t.Kind {
	case "start":
		text += "its instances do not start, "
	case "values":
		text += "those of its instances that have the values from before the last change go on, since new ones do not start, "
	case "health":
		text += "its instances are not well, "
	default:
		return text + t.Reason
	}
	text += count(int64(t.Times), "time") + " in a row since " + stamp(t.Since)
	if t.Next != nil && t.Next.After(now) {
		text += "; the next one comes in " + roundly(t.Next.Sub(now))
	}
	return text + ": " + oneLine(t.Reason)
}

// roundly is a duration as people say it.
func roundly(d time.Duration) string {
	if d < time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// oneLine is a reason, which may hold what a program printed, for a place that has one line: lines are joined, and of a long text the end
// is kept, where programs say what was wrong.
func oneLine(text string) string {
	const most, head = 400, 120
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), " | ")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:head], "") + " ... " + strings.ToValidUTF8(text[len(text)-(most-head):], "")
}
