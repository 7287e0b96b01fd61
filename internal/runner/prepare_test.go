package runner

import (
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		id, base, network string
		command           []string
		ok                bool
	}{
		{"a-1", "host", "none", []string{"x"}, true},
		{strings.Repeat("a", 64), "scratch", "host", []string{"x", ""}, true},
		{"", "host", "none", []string{"x"}, false},
		{strings.Repeat("a", 65), "host", "none", []string{"x"}, false},
		{"../x", "host", "none", []string{"x"}, false},
		{"-x", "host", "none", []string{"x"}, false},
		{"A", "host", "none", []string{"x"}, false},
		{"a", "", "none", []string{"x"}, false},
		{"a", "host", "", []string{"x"}, false},
		{"a", "host", "none", nil, false},
		{"a", "host", "none", []string{""}, false},
	} {
		s := Spec{ID: c.id, Base: c.base, Network: c.network, Command: c.command}
		err := s.Validate()
		if (err == nil) != c.ok || !c.ok && fault.KindOf(err) != fault.Invalid {
			t.Errorf("Validate(%+v) = %v, want ok %v", c, err, c.ok)
		}
	}
}

func TestExpand(t *testing.T) {
	s := Spec{
		Command: []string{"{{dalamb.task}}/run", "--port={{dalamb.port}}", "{{dalamb.other}}"},
		Env:     []string{"API={{dalamb.listen}}", "PATHS=x"},
	}
	command, env := s.Expand(Places{Listen: "127.0.0.1:9001", Port: 8080, Task: "/var/task"})
	if want := []string{"/var/task/run", "--port=8080", "{{dalamb.other}}"}; !slices.Equal(command, want) {
		t.Errorf("command = %q, want %q", command, want)
	}
	if want := []string{"API=127.0.0.1:9001", "PATHS=x", "PATH=" + DefaultPath}; !slices.Equal(env, want) {
		t.Errorf("env = %q, want %q", env, want)
	}
	s.Env = []string{"PATH="}
	if _, env := s.Expand(Places{}); !slices.Equal(env, []string{"PATH="}) {
		t.Errorf("env = %q, want the PATH as it was given", env)
	}
}
