package aws

import (
	"encoding/json"
	"testing"
)

func TestFiltersAreSaidInBothLanguages(t *testing.T) {
	for _, tt := range []struct {
		aws  []string
		here string
	}{
		{nil, ``},
		{[]string{`{"value":{"a":["x"]}}`}, `{"data":{"a":["x"]}}`},
		{[]string{`{"value":{"a":[{"numeric":["<",1e3]}]}}`}, `{"data":{"a":[{"numeric":["\u003c",1e3]}]}}`},
		{[]string{`{"value":{"a":["\\u003c &"]}}`}, `{"data":{"a":["\\u003c \u0026"]}}`},
		{[]string{`{"value":{"a":["x"]}}`, `{"value":{"b":[1]}}`}, `{"$or":[{"data":{"a":["x"]}},{"data":{"b":[1]}}]}`},
	} {
		c := &filterCriteria{}
		for _, p := range tt.aws {
			c.Filters = append(c.Filters, filter{p})
		}
		got, err := c.pattern()
		if err != nil || string(got) != tt.here {
			t.Errorf("pattern of %s = %s, %v, want %s", tt.aws, got, err, tt.here)
		}
		back := criteriaOf(got)
		if tt.aws == nil {
			if back != nil {
				t.Errorf("criteria of nothing = %+v", back)
			}
			continue
		}
		for i, f := range back.Filters {
			if f.Pattern != tt.aws[i] {
				t.Errorf("criteria of %s = %s, want %s", got, f.Pattern, tt.aws[i])
			}
		}
	}
	for _, own := range []string{`{"type":["order.created"]}`, `{"data":{"a":[1]},"type":["b"]}`, `{"$or":[{"type":["a"]}]}`} {
		if got := criteriaOf(json.RawMessage(own)); len(got.Filters) != 1 || got.Filters[0].Pattern != own {
			t.Errorf("criteria of a manifest's filter %s = %+v", own, got)
		}
	}
	for _, bad := range []string{``, `[]`, `{"value":1,"key":2}`, `{"data":{}}`, `{"value`} {
		if got, err := (&filterCriteria{[]filter{{bad}}}).pattern(); err == nil {
			t.Errorf("pattern of %q = %s, want an error", bad, got)
		}
	}
}
