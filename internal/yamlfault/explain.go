package yamlfault

import (
	"fmt"
	"strings"

	v4 "go.yaml.in/yaml/v4"
)

// explain says what the library means. Where something is not closed, the place is where it opens: the library stops where the text makes no
// sense any longer, which may be its end.
func explain(text string, e *v4.LoadError) Fault {
	at, began := e.Mark, e.ContextMark
	here := func(message, hint string) Fault { return Fault{at.Line, at.Column, message, hint} }
	opens := func(message, hint string) Fault { return Fault{began.Line, began.Column, message, hint} }
	switch {
	case e.ContextMsg == "while scanning a quoted scalar" && strings.HasPrefix(e.Message, "found unexpected"):
		return opens("the quote that opens here is not closed", "")
	case e.Message == "found unknown escape character":
		return here("a backslash cannot be followed by this between double quotes", `write \\ for a backslash, or use single quotes`)
	case strings.HasPrefix(e.Message, "did not find expected ',' or "):
		closing := strings.Trim(strings.TrimPrefix(e.Message, "did not find expected ',' or "), "'")
		if at.Line > began.Line {
			return opens(fmt.Sprintf("the %c that opens here is not closed", character(text, began)), fmt.Sprintf("line %d has what cannot stand within it", at.Line))
		}
		return here(fmt.Sprintf("a comma or %s is expected here", closing), fmt.Sprintf("the %c in column %d is still open", character(text, began), began.Column))
	case strings.HasPrefix(e.Message, "found a tab character"), character(text, at) == '\t':
		return here("a tab indents this line", "YAML is indented by spaces alone")
	case e.Message == "found character that cannot start any token":
		return here(fmt.Sprintf("a value cannot begin with %c", character(text, at)), "put it between quotes")
	case e.Message == "mapping values are not allowed in this context":
		return here("a colon cannot stand here", "text with a colon and a space in it needs quotes; the fields of a mapping are indented alike, and the one above them ends with a colon")
	case e.Message == "did not find expected key":
		return here("a field is expected here, as NAME: VALUE", fmt.Sprintf("the fields of the mapping are indented like the first one, in line %d, column %d", began.Line, began.Column))
	case e.Message == "did not find expected '-' indicator":
		return here("an item of the list is expected here, with - before it", fmt.Sprintf("the list begins in line %d, column %d; what belongs to an item is indented like the item's text", began.Line, began.Column))
	case e.Message == "did not find expected node content" && strings.TrimSpace(after(text, at)) == "":
		line, column := place([]byte(strings.TrimRight(text, " \t\r\n")))
		return Fault{line, column, "the text ends where a value is expected", "a bracket may be left open"}
	case e.Message == "did not find expected node content":
		return here(fmt.Sprintf("%c stands where a value is expected", character(text, at)), "text that begins with it needs quotes")
	case e.Message == "could not find expected ':'" && began.Line > 0:
		return opens("a colon is missing behind this", "a field is written NAME: VALUE")
	case e.Stage == "composer" && strings.HasPrefix(e.Message, "unknown anchor "):
		name := strings.Trim(strings.TrimSuffix(strings.TrimPrefix(e.Message, "unknown anchor "), " referenced"), "'")
		return here(fmt.Sprintf("*%s repeats what is marked by &%s above it, and nothing is", name, name), "text that begins with * needs quotes")
	}
	return here(e.Message, "")
}

// character is what stands at a place; a space where nothing does.
func character(text string, at v4.Mark) rune {
	for _, r := range after(text, at) {
		return r
	}
	return ' '
}

// after is the text from a place on.
func after(text string, at v4.Mark) string {
	for range at.Line - 1 {
		_, text, _ = strings.Cut(text, "\n")
	}
	column := 1
	for i := range text {
		if column == at.Column {
			return text[i:]
		}
		column++
	}
	return ""
}
