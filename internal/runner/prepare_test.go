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

func TestValidateRoot(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Spec)
		ok    bool
	}{
		{"all of it", func(*Spec) {}, true},
		{"both", func(s *Spec) { s.Base = "host" }, false},
		{"relative layer", func(s *Spec) { s.Root[0] = "l" }, false},
		{"too many layers", func(s *Spec) { s.Root = slices.Repeat(s.Root, MaxLayers+1) }, false},
		{"relative directory", func(s *Spec) { s.WorkDir = "w" }, false},
		{"unclean directory", func(s *Spec) { s.WorkDir = "/w/../.." }, false},
		{"no signal", func(s *Spec) { s.StopSignal = "SIGNONE" }, false},
		{"user", func(s *Spec) { s.User.UID = MaxID + 1 }, false},
		{"extra group", func(s *Spec) { s.User.Groups[0] = MaxID + 1 }, false},
	} {
		s := Spec{
			ID: "a", Network: "none", Command: []string{"x"}, Root: []string{"/l"}, WorkDir: "/w", StopSignal: "SIGQUIT",
			User: &User{UID: MaxID, GID: 0, Groups: []uint32{5}},
		}
		c.spoil(&s)
		if err := s.Validate(); (err == nil) != c.ok || !c.ok && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: Validate = %v, want ok %v", c.name, err, c.ok)
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
