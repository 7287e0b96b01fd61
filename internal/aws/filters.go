package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// filterCriteria are patterns of which one has to match. AWS speaks in them of the record's value, which here is the event's data.
type filterCriteria struct{ Filters []filter }

type filter struct{ Pattern string }

// maxFilters is AWS's bound with a quota raised. AWS Lambda developer guide, "Event filtering".
const maxFilters = 10

// pattern is the one of dalamb that means the same; nil = every event.
func (f *filterCriteria) pattern() (json.RawMessage, error) {
	if len(f.Filters) > maxFilters {
		return nil, badValue("FilterCriteria: %d filters are more than %d", len(f.Filters), maxFilters)
	}
	var all []map[string]json.RawMessage
	for _, one := range f.Filters {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(one.Pattern), &fields); err != nil {
			return nil, badValue("FilterCriteria: %q is no pattern: %w", fault.Clip(one.Pattern), err)
		}
		if len(fields) != 1 || fields["value"] == nil {
			return nil, badValue("FilterCriteria: %q is not about the value alone", fault.Clip(one.Pattern)).WithHint(`such as {"value": {"price": [{"numeric": [">", 10]}]}}`)
		}
		all = append(all, map[string]json.RawMessage{"data": fields["value"]})
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return encoded(all[0])
	}
	return encoded(map[string]any{"$or": all})
}

func encoded(v any) (json.RawMessage, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the pattern: %w", err)
	}
	return text, nil
}

// criteriaOf is a pattern in AWS's words, where it has any; else as it is, for people's eyes.
func criteriaOf(pattern json.RawMessage) *filterCriteria {
	if pattern == nil {
		return nil
	}
	var either struct {
		Or []map[string]json.RawMessage `json:"$or"`
	}
	var one map[string]json.RawMessage
	if json.Unmarshal(pattern, &one) != nil {
		return nil
	}
	all := []map[string]json.RawMessage{one}
	if len(one) == 1 && json.Unmarshal(pattern, &either) == nil && either.Or != nil {
		all = either.Or
	}
	out := &filterCriteria{}
	for _, fields := range all {
		if len(fields) != 1 || fields["data"] == nil {
			return &filterCriteria{[]filter{{string(pattern)}}}
		}
		out.Filters = append(out.Filters, filter{plainJSON(map[string]json.RawMessage{"value": fields["data"]})})
	}
	return out
}

// plainJSON is JSON as a person writes it: the log has < and > of numeric filters in a form that is safe within HTML.
func plainJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var read any
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if d.Decode(&read) != nil || e.Encode(read) != nil {
		return string(text)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
