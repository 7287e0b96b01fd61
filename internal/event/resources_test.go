package event

import (
	"slices"
	"testing"
)

func TestResourcesAreTheSubjectOrAnExtension(t *testing.T) {
	for _, c := range []struct {
		list      []string
		subject   string
		extension any
	}{
		{nil, "", nil},
		{[]string{"arn:a"}, "arn:a", nil},
		{[]string{"arn:a", "b<&>ü"}, "", `["arn:a","b<&>ü"]`},
		{[]string{"a\u2028b", "c\u2029"}, "", "[\"a\u2028b\",\"c\u2029\"]"},
	} {
		e := &Event{ID: "1", Source: "/a", Type: "t"}
		if err := e.SetResources(c.list); err != nil || e.Subject != c.subject || e.Extensions[ExtResources] != c.extension {
			t.Errorf("SetResources(%q): %v, subject %q, extension %v", c.list, err, e.Subject, e.Extensions[ExtResources])
		}
		if got := ResourcesOf(e); got == nil || !slices.Equal(got, append([]string{}, c.list...)) {
			t.Errorf("ResourcesOf = %q, want %q", got, c.list)
		}
		if err := e.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", `a"b`, `a\b`, "a\nb", "a\ufffdb", "a\xffb"} {
		e := &Event{}
		if e.SetResources([]string{"good", bad}) == nil || e.Extensions != nil {
			t.Errorf("the resource %q is taken", bad)
		}
	}
	both := &Event{Subject: "s", Extensions: map[string]any{ExtResources: `["a","b"]`}}
	if got := ResourcesOf(both); !slices.Equal(got, []string{"s", "a", "b"}) {
		t.Errorf("of an event with both the resources are %q", got)
	}
	for _, text := range []string{"", "arn:a", "[1]", "[]", `["a"`} {
		e := &Event{Subject: "s", Extensions: map[string]any{ExtResources: text}}
		if got := ResourcesOf(e); !slices.Equal(got, []string{"s"}) {
			t.Errorf("of the extension %q the resources are %q", text, got)
		}
	}
}
