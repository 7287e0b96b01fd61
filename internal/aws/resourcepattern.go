package aws

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
)

// translateResources says of a subject, or of the text of the extension resources, what a pattern says of the list resources: one of both holds.
func translateResources(raw json.RawMessage) ([]translated, error) {
	var tests []json.RawMessage
	if err := json.Unmarshal(raw, &tests); err != nil {
		return nil, badPattern("resources: it is not a list")
	}
	within := make([]any, len(tests))
	for i, t := range tests {
		var err error
		if within[i], err = withinArray(t); err != nil {
			return nil, err
		}
	}
	return []translated{{"subject": raw}, {event.ExtResources: within}}, nil
}

// withinArray is the test of an array's text that holds where one of its elements meets a test. What stands between the quotation marks of an element has
// none itself: event.SetResources sees to that. What could be what stands between two elements, or before the first or after the last, is refused.
func withinArray(test json.RawMessage) (any, error) {
	if text, ok := plainText(test); ok {
		return inElement(test, text, `*"`+text+`"*`)
	}
	var operator map[string]json.RawMessage
	if json.Unmarshal(test, &operator) == nil && len(operator) == 1 {
		for name, operand := range operator {
			text, ok := plainText(operand)
			switch {
			case name == "exists" && string(operand) == "true":
				return map[string]bool{"exists": true}, nil
			case name == "prefix" && ok:
				return inElement(test, text, `*"`+text+`*`)
			case name == "suffix" && ok:
				return inElement(test, text, `*`+text+`"*`)
			case name == "exactly" && ok:
				return inElement(test, text, `*"`+text+`"*`)
			}
		}
	}
	return nil, badPattern("resources: %s is not there; a text, exactly, prefix, suffix and exists: true are", test)
}

// inElement is a wildcard for a text of an element.
func inElement(test json.RawMessage, text, wildcard string) (any, error) {
	if text != "" && strings.Trim(text, ",[] \t\r\n") == "" {
		return nil, badPattern("resources: %s could be what stands between two of them; a text with another character than commas, brackets and spaces could not", test)
	}
	return map[string]string{"wildcard": wildcard}, nil
}

// plainText is a text as it stands in an array's text and in a wildcard. One with a quotation mark could reach over two elements.
func plainText(raw json.RawMessage) (string, bool) {
	var text string
	if !bytes.HasPrefix(raw, []byte(`"`)) || json.Unmarshal(raw, &text) != nil || strings.Contains(text, `"`) {
		return "", false
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace(text), true
}
