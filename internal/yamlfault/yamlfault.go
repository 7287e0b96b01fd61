// Package yamlfault says where a text is no YAML, and what is wrong there in words for who wrote it. What a text that is YAML means is for its
// readers, of which each decodes by itself.
package yamlfault

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	v4 "go.yaml.in/yaml/v4"
)

// Fault is the first place at which a text is no YAML. Behind it nothing can be told.
type Fault struct {
	Line, Column int    // count from 1; columns are characters
	Message      string // what is wrong, without the place
	Hint         string // what to do; may be empty
}

// Find says where a text is no YAML. err is what its reader said: it stands where the place cannot be found, with the line that it names.
func Find(text []byte, err error) Fault {
	if e := loadError(text); e != nil && e.Mark.Line > 0 {
		return explain(string(text), e)
	}
	if at, message := unreadable(text); at >= 0 {
		line, column := place(text[:at])
		return Fault{line, column, message, ""}
	}
	return told(err)
}

// loadError reads the text as v4 of the library does, whose errors know their place.
func loadError(text []byte) *v4.LoadError {
	for dec := v4.NewDecoder(strings.NewReader(string(text))); ; {
		var e *v4.LoadError
		switch err := dec.Decode(new(v4.Node)); {
		case err == nil:
		case errors.As(err, &e):
			return e
		default:
			return nil // the end of the text, or what has no place
		}
	}
}

var toldLine = regexp.MustCompile(`^line (\d+): `)

// told is the reader's own error, as far as it knows.
func told(err error) Fault {
	f := Fault{Line: 1, Column: 1, Message: strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")}
	if m := toldLine.FindStringSubmatch(f.Message); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Message = strings.TrimPrefix(f.Message, m[0])
	}
	return f
}

// unreadable finds what no text has: at is its offset in bytes, -1 = there is none.
// YAML 1.2, section 5.1: c-printable.
func unreadable(text []byte) (at int, message string) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return i, "the text is not UTF-8"
		case unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\u0085", r), r == 0xfffe, r == 0xffff:
			return i, "the text has a control character, " + strconv.QuoteRuneToASCII(r)
		}
		i += size
	}
	return -1, ""
}

// place is the place behind a text.
func place(before []byte) (line, column int) {
	last := before[strings.LastIndexByte(string(before), '\n')+1:]
	return strings.Count(string(before), "\n") + 1, utf8.RuneCount(last) + 1
}
