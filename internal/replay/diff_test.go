package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

func TestDiffNamesThePlaces(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{`{"a":1}`, `{"a":1}`, ""},
		{`{"a":1,"b":2}`, `{"b":3,"c":4}`, "r.a 1 -; r.b 2 3; r.c - 4"},
		{`[1,2,3]`, `[1,3]`, "r[1] 2 3; r[2] 3 -"},
		{`{"a":{"b":[{"c":true}]}}`, `{"a":{"b":[{"c":false}]}}`, "r.a.b[0].c true false"},
		{`{"a":null}`, `{}`, "r.a null -"},
		{`{"a":1}`, `"text"`, `r {"a":1} "text"`},
		{`1.0`, `1`, "r 1.0 1"},
	} {
		var d differ
		b, _ := event.Value([]byte(c.before))
		a, _ := event.Value([]byte(c.after))
		d.compare("r", b, a)
		var got []string
		for _, ch := range d.changes {
			side := func(raw []byte) string {
				if raw == nil {
					return "-"
				}
				return string(raw)
			}
			got = append(got, fmt.Sprintf("%s %s %s", ch.Path, side(ch.Before), side(ch.After)))
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("diff of %s and %s = %q, want %q", c.before, c.after, text, c.want)
		}
	}
}

func TestDiffIsBounded(t *testing.T) {
	before, after := map[string]any{}, map[string]any{}
	for i := range 1000 {
		after[fmt.Sprint(i)] = strings.Repeat("é", 1000)
	}
	var d differ
	d.compare("r", before, after)
	if len(d.changes) != maxChanges {
		t.Fatalf("%d changes, want %d", len(d.changes), maxChanges)
	}
	for _, c := range d.changes {
		if _, ok := event.Value(c.After); !ok || len(c.After) > 2*maxValue {
			t.Errorf("a value of %d bytes: %s", len(c.After), c.After)
		}
	}
}

func TestLatencyIsWithinFivePercent(t *testing.T) {
	var l latency
	for i := 1; i <= 1000; i++ {
		l.add(time.Duration(i) * time.Millisecond)
	}
	s := l.summary()
	for _, c := range []struct {
		name string
		got  function.Duration
		want time.Duration
	}{{"p50", s.P50, 500 * time.Millisecond}, {"p90", s.P90, 900 * time.Millisecond}, {"p99", s.P99, 990 * time.Millisecond}, {"max", s.Max, time.Second}} {
		if r := float64(c.got) / float64(c.want); r < 0.99 || r > 1.06 {
			t.Errorf("%s = %s, want about %s", c.name, c.got, c.want)
		}
	}
	if (&latency{}).summary() != (function.ReplayLatency{}) {
		t.Error("the summary of nothing is not zero")
	}
}
