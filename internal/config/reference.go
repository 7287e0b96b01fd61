package config

import (
	"fmt"
	"strings"
)

// Reference is the reference page of the settings as a Markdown table: the one that docs carry, made from the table
// that Load follows.
func Reference() string {
	var b strings.Builder
	b.WriteString("| setting | flag | variable | value | default | again | meaning |\n|---|---|---|---|---|---|---|\n")
	n := Default()
	for _, s := range Settings() {
		flag := "none"
		if s.Flag != "" {
			flag = "`--" + s.Flag + "`"
		}
		again := ""
		if s.Live {
			again = "SIGHUP"
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | `%s` | %s | %s |\n", s.Key, flag, s.Variable(), s.Form, written(s, n), again, s.Help)
	}
	return b.String()
}

// Example is a complete file with every setting at its default.
func Example() string {
	var b strings.Builder
	n, section := Default(), ""
	for _, s := range Settings() {
		name, indent := s.Key, ""
		if in, rest, ok := strings.Cut(s.Key, "."); ok {
			if in != section {
				fmt.Fprintf(&b, "%s:\n", in)
				section = in
			}
			name, indent = rest, "  "
		} else {
			section = ""
		}
		fmt.Fprintf(&b, "%s%s: %s # %s\n", indent, name, written(s, n), s.Help)
	}
	return b.String()
}

// written is a value as it can be written in the file: nothing is a value too.
func written(s Setting, n *Node) string {
	if text := s.Text(n); text != "" {
		return text
	}
	return `""`
}
