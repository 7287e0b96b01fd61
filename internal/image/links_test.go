package image

import "testing"

func TestLeaves(t *testing.T) {
	for _, c := range []struct {
		links map[string]string
		name  string
		want  bool
	}{
		{map[string]string{"a": "b"}, "a", false},
		{map[string]string{"a": "gone/away"}, "a", false},
		{map[string]string{"a": "."}, "a", false},
		{map[string]string{"a": ".."}, "a", true},
		{map[string]string{"a": "/etc/passwd"}, "a", true},
		{map[string]string{"x/a": "../b"}, "x/a", false},
		{map[string]string{"x/a": "../../b"}, "x/a", true},
		{map[string]string{"x/a": "../x/../../b"}, "x/a", true},
		{map[string]string{"x/a": "y/../../b"}, "x/a", false},
		{map[string]string{"a": "b", "b": "../out"}, "a", true},
		{map[string]string{"a": "b/c", "b": "/"}, "a", true},
		// By its letters x/a stays inside; followed as the kernel does, x/up is the root and .. of it is outside.
		{map[string]string{"x/a": "up/../x", "x/up": ".."}, "x/a", true},
		{map[string]string{"x/up": ".."}, "x/up", false},
		{map[string]string{"a": "b", "b": "a"}, "a", false},
		{map[string]string{"a": "a/b"}, "a", false},
	} {
		if got := leaves(c.name, c.links); got != c.want {
			t.Errorf("leaves(%q, %v) = %v, want %v", c.name, c.links, got, c.want)
		}
	}
}
