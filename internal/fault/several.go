package fault

import "strings"

// All is one error for several, each on a line of its own with its hint, and of the first one's kind. Those that are nil do not count; nil when
// there are no others.
func All(problems []error) error {
	var lines []string
	var first error
	for _, err := range problems {
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		line := err.Error()
		if hint := HintOf(err); hint != "" {
			line += " (" + hint + ")"
		}
		lines = append(lines, line)
	}
	if len(lines) < 2 {
		return first
	}
	return New(KindOf(first), "%s", strings.Join(lines, "\n"))
}
