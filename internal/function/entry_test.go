package function

import (
	"fmt"
	"strings"
	"testing"
)

func TestEntryFields(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{"type: stdio, mode: lines", ""},
		{"type: stdio, mode: once", ""},
		{"type: stdio, mode: line", `entry.mode: "line" is not known (allowed: once, lines; did you mean lines?)`},
		{`type: http, ready: "/health?deep=1"`, ""},
		{"type: http, ready: health", `entry.ready: "health" is no path of a request (such as /health)`},
		{"type: http, ready: \"/a b\"", "is no path of a request"},
		{"type: stdio, ready: /health", `entry.ready: belongs to the entry http (remove it, or set entry.type to http)`},
		{"type: http, protocol: h2c", ""},
		{"type: http, protocol: http/1.1", ""},
		{"type: http, protocol: h2", `entry.protocol: "h2" is not known (allowed: http/1.1, h2c; did you mean h2c?)`},
		{"type: lambda, protocol: h2c", `entry.protocol: belongs to the entry http (remove it, or set entry.type to http)`},
		{"type: lambda, mode: lines", `entry.mode: belongs to the entry stdio (remove it, or set entry.type to stdio)`},
	} {
		_, err := ParseManifest("dalamb.yaml", fmt.Appendf(nil, "name: pay\nentry: {%s, command: [./fn]}\n", c.entry))
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("entry {%s}: %v, want %q", c.entry, err, c.want)
		}
	}
}

func TestWhichInstancesAreReused(t *testing.T) {
	for entry, want := range map[string]string{
		"type: stdio": ReuseNever, "type: stdio, mode: once": ReuseNever, "type: stdio, mode: lines": ReuseIdle, "type: http": ReuseIdle,
	} {
		m := parse(t, "name: pay\nentry: {"+entry+", command: [./fn]}\n")
		if got := m.Functions[0].Spec.Scale.Reuse; got != want {
			t.Errorf("reuse of {%s} = %q, want %q", entry, got, want)
		}
	}
}
