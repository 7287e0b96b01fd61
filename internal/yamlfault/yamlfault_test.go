package yamlfault

import (
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Each text and where it stops to be YAML; the first line of all is name: pay.
func TestFind(t *testing.T) {
	for what, c := range map[string]struct {
		text         string
		line, column int
		message      string
	}{
		"less indented than its siblings":  {"entry:\n  type: stdio\n command: [a]\n", 4, 2, "a field is expected here"},
		"more indented than its siblings":  {"entry:\n  type: stdio\n   command: [a]\n", 4, 11, "a colon cannot stand here"},
		"a tab":                            {"entry:\n\ttype: stdio\n", 3, 1, "a tab indents this line"},
		"a tab in a mapping":               {"entry:\n  type: stdio\n\tcommand: [a]\n", 4, 1, "a tab indents this line"},
		"a double quote not closed":        {"entry: {type: stdio, command: [\"a]}\nbase: host\n", 2, 32, "the quote that opens here is not closed"},
		"a single quote not closed":        {"base: 'host\ncode: x\n", 2, 7, "the quote that opens here is not closed"},
		"a bracket not closed":             {"entry:\n  type: stdio\n  command: [a\nbase: host\n", 4, 12, "the [ that opens here is not closed"},
		"a bracket not closed at the end":  {"entry:\n  command: [a\n", 3, 12, "the [ that opens here is not closed"},
		"a brace not closed":               {"entry: {type: stdio\nbase: host\n", 2, 8, "the { that opens here is not closed"},
		"the wrong bracket":                {"filter: {a: [b}\n", 2, 15, "a comma or ] is expected here"},
		"no comma":                         {"entry: {type: stdio command: [a]}\n", 2, 28, "a comma or } is expected here"},
		"a bracket too many":               {"entry:\n  type: stdio\n  command: ]\n", 4, 12, "] stands where a value is expected"},
		"no colon":                         {"base host\ncode: x\n", 2, 1, "a colon is missing behind this"},
		"no colon above a mapping":         {"entry\n  type: stdio\n", 3, 7, "a colon cannot stand here"},
		"two colons":                       {"base: a: b\n", 2, 8, "a colon cannot stand here"},
		"an unknown anchor":                {"env: {A: *nope}\n", 2, 10, "*nope repeats what is marked by &nope above it"},
		"a list among fields":              {"- a\n", 2, 1, "a field is expected here"},
		"a field among items":              {"triggers:\n  - name: a\n  topic: b\n", 4, 3, "an item of the list is expected here"},
		"a sign that begins nothing":       {"base: @host\n", 2, 7, "a value cannot begin with @"},
		"text behind a quote":              {"base: \"a\" b\n", 2, 11, "a field is expected here"},
		"an escape that is none":           {"base: \"\\q\"\n", 2, 8, "a backslash cannot be followed by this"},
		"a list open at the end":           {"env: [\n", 2, 7, "the text ends where a value is expected"},
		"a control character":              {"base: \"ä\x01\"\n", 2, 9, `the text has a control character, '\x01'`},
		"no UTF-8":                         {"base: \xff\xfe\n", 2, 7, "the text is not UTF-8"},
		"in a document further down":       {"---\nname: 'x\n", 3, 7, "the quote that opens here is not closed"},
		"letters that have several bytes":  {"base: {ä: ü, ö: ]}\n", 2, 17, "] stands where a value is expected"},
		"a colon in the line of the first": {"base: a\nenv: b: c\n", 3, 7, "a colon cannot stand here"},
	} {
		text := "name: pay\n" + c.text
		err := read(text)
		if err == nil {
			t.Errorf("%s: is read", what)
			continue
		}
		f := Find([]byte(text), err)
		if f.Line != c.line || f.Column != c.column || !strings.HasPrefix(f.Message, c.message) {
			t.Errorf("%s: Find = %+v, want %d:%d %s", what, f, c.line, c.column, c.message)
		}
	}
}

func TestFindInTheFirstLine(t *testing.T) {
	for text, column := range map[string]int{"name: a: b\n": 8, "name: 'a\n": 7, "name: [": 8, "\tname: a\n": 1, "{": 2} {
		err := read(text)
		if f := Find([]byte(text), err); f.Line != 1 || f.Column != column {
			t.Errorf("Find(%q) = %+v, want 1:%d", text, f, column)
		}
	}
}

// What only the reader knows is what it said.
func TestFindWithoutAPlaceIsWhatTheReaderSaid(t *testing.T) {
	for said, want := range map[string]Fault{
		"yaml: line 3: something\n  else": {Line: 3, Column: 1, Message: "something else"},
		"yaml: something":                 {Line: 1, Column: 1, Message: "something"},
	} {
		if got := Find([]byte("name: pay\n"), errors.New(said)); got != want {
			t.Errorf("Find after %q = %+v, want %+v", said, got, want)
		}
	}
}

// What the one reader refuses has a place that is in the text.
func FuzzFind(f *testing.F) {
	for _, text := range []string{"", "a: b", "a: [", "a: 'b", "\xff\xfea\x00", "a:\n\t- b", "- a\nb", "&a [*a]", "%YAML 9\n---\n", "a: |2x", "!<x y", "--- 'x\n---\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := read(text)
		if err == nil {
			return
		}
		got := Find([]byte(text), err)
		if got.Line < 1 || got.Column < 1 || got.Message == "" || strings.Contains(got.Message+got.Hint, "\n") {
			t.Errorf("Find(%q) = %+v after %v", text, got, err)
		}
	})
}

func read(text string) error {
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		if err := dec.Decode(new(yaml.Node)); err != nil {
			if err.Error() == "EOF" {
				return nil
			}
			return err
		}
	}
}
