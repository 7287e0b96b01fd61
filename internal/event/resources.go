package event

import (
	"encoding/json"
	"strings"
	"unicode"
)

// SetResources says what an event is about: one thing is its subject, several are its extension resources. None of them may have a character that JSON
// writes otherwise than it is: patterns look at the array's text.
func (e *Event) SetResources(list []string) error {
	for _, one := range list {
		if one == "" || strings.ContainsFunc(one, func(r rune) bool {
			return r == '"' || r == '\\' || r == unicode.ReplacementChar || unicode.IsControl(r)
		}) {
			return wrong(ExtResources, "%q is empty, or has a quotation mark, a backslash or a control character", clip(one))
		}
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		e.Subject = list[0]
		return nil
	}
	// Written here, since encoding/json escapes what JSON need not.
	return e.SetExtension(ExtResources, `["`+strings.Join(list, `","`)+`"]`)
}

// ResourcesOf is what an event is about, its subject first; never nil. An extension resources that is no array of texts counts for nothing.
func ResourcesOf(e *Event) []string {
	about := []string{}
	if e.Subject != "" {
		about = append(about, e.Subject)
	}
	text, _ := e.Extensions[ExtResources].(string)
	var list []string
	if strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &list) == nil {
		about = append(about, list...)
	}
	return about
}
