package console

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

func TestWords(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ name, got, want string }{
		{"never", ago(now, time.Time{}), "never"},
		{"now", ago(now, now.Add(-300*time.Millisecond)), "now"},
		{"seconds", ago(now, now.Add(-59*time.Second)), "59 s ago"},
		{"minutes", ago(now, now.Add(-119*time.Second)), "1 min ago"},
		{"hours", ago(now, now.Add(-47*time.Hour)), "47 h ago"},
		{"days", ago(now, now.Add(-49*time.Hour)), "2 d ago"},
		{"ahead", ago(now, now.Add(90*time.Second)), "in 1 min"},
		{"long", long(function.Duration(1234 * time.Microsecond)), "1.2 ms"},
		{"longer", long(83 * time.Second), "1m23s"},
		{"size", size(1536), "1.5 KiB"},
		{"bytes", size(12), "12 B"},
		{"count", count(int64(1234567)), "1 234 567"},
		{"below", count(-1234), "-1 234"},
		{"cut", cut(3, "größer"), "grö…"},
		{"not cut", cut(6, "größer"), "größer"},
		{"no text", cut(9, "a\xff"), "a\uFFFD"},
		{"path", href("functions", "a/b ?", "?", "x", "", "y", "&="), "/functions/a%2Fb%20%3F?y=%26%3D"},
		{"json", pretty(json.RawMessage(`{"a":"\u003cb\u003e \\u003c","n":12345678901234567890}`)), "{\n  \"a\": \"<b> \\\\u003c\",\n  \"n\": 12345678901234567890\n}"},
		{"letters", compact(json.RawMessage(`"K\u00e4nnchen \u6025\u9808 \ud83d\udc68 \\u00e4"`)), `"Kännchen 急須 👨 \\u00e4"`},
		{"stays escaped", compact(json.RawMessage(`"\u0022\u005c\u0000\u202e\ud83d\u00e"`)), `"\u0022\u005c\u0000\u202e\ud83d\u00e"`},
		{"one", many(1, "dead letter"), "1 dead letter"},
		{"none", many(0, "instance"), "0 instances"},
		{"no json", pretty(json.RawMessage(`{"a`)), `{"a`},
		{"compact", compact(json.RawMessage(`["\u0026"]`)), `["&"]`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestErrorsThatDifferInNumbersAreOneGroup(t *testing.T) {
	run := func(id, message string, state function.RunState) function.Run {
		return function.Run{ID: id, State: state, Attempts: []function.Attempt{{Start: time.Unix(int64(len(id)), 0), Failure: &function.Failure{Type: "Refused", Message: message}}}}
	}
	got := grouped([]function.Run{
		run("a", "order o-17 is refused by bank 3", function.RunDead), run("bb", "order o-18 is refused by bank 12", function.RunRetrying),
		run("c", "out of tea", function.RunDead), {ID: "d", Reason: "too old", State: function.RunDead},
	})
	if len(got) != 3 || got[0].Count != 2 || got[0].Dead != 1 || got[0].Run != "bb" || got[0].Text != "order o-18 is refused by bank 12" {
		t.Errorf("grouped = %+v, want three groups, the first of two", got)
	}
	if got[0].Find != "is refused by bank" {
		t.Errorf("the group is found by %q, want what all have in their error", got[0].Find)
	}
}

func TestRatesAreWhatCameBetweenTwoLooks(t *testing.T) {
	r, now := newRates(), time.Now()
	if got, _ := r.look("t", now, 100); got != nil {
		t.Errorf("the first look = %v, want not known", *got)
	}
	if got, _ := r.look("t", now.Add(time.Second), 500); got != nil {
		t.Errorf("a look too soon = %v, want not known", *got)
	}
	now = now.Add(10 * time.Second)
	if got, _ := r.look("t", now, 200); got == nil || *got != 10 {
		t.Errorf("100 more in 10 s = %v, want 10", got)
	}
	if got, line := r.look("t", now.Add(5*time.Second), 200); got == nil || *got != 0 || line == "" {
		t.Errorf("none more in 5 s = %v, line %q; want 0 and a line", got, line)
	}
	if got, _ := r.look("t", now.Add(10*time.Second), 50); got != nil {
		t.Errorf("fewer than before = %v, want not known: the topic was made again", *got)
	}
	if got, _ := r.look("t", now.Add(10*time.Minute), 60); got != nil {
		t.Errorf("after a long time = %v, want not known", *got)
	}
	for i := range 2 * ratesOf {
		r.look(string(rune('a'+i)), now.Add(11*time.Minute), 1)
	}
	if len(r.all) > ratesOf {
		t.Errorf("%d topics are remembered, want %d at most", len(r.all), ratesOf)
	}
}
