package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name         string
		value, ratio float64
		target       *target
		want         string
	}{
		{"no target", 1, 1, nil, ""},
		{"ratio low enough", 0, 2.5, ratioAtMost(2.5), "yes"},
		{"ratio too high", 0, 2.51, ratioAtMost(2.5), "NO"},
		{"ratio high enough", 0, 0.8, ratioAtLeast(0.8), "yes"},
		{"ratio too low", 0, 0.79, ratioAtLeast(0.8), "NO"},
		{"value low enough", 99, 500, valueAtMost(100), "yes"},
		{"value too high", 101, 1, valueAtMost(100), "NO"},
		{"value too low", 199, 1, valueAtLeast(200), "NO"},
	} {
		l := line{Value: c.value, Ratio: spread{Median: c.ratio}, Target: c.target}
		l.judge()
		if got := l.met(); got != c.want {
			t.Errorf("%s: met() = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAgainstTakesRatiosTurnByTurn(t *testing.T) {
	// The machine was slow in the second turn, for both.
	value, of, ratio := series{{10, 100, 10}, {5, 50, 5}}.against(0, 1)
	if want := (spread{Median: 2, Low: 2, High: 2}); value != 10 || of != 5 || ratio != want {
		t.Errorf("against() = %v, %v, %v, want 10, 5, %v", value, of, ratio, want)
	}
}

func TestInTurnsInterleaves(t *testing.T) {
	var order strings.Builder
	thing := func(name string) func() (float64, error) {
		return func() (float64, error) { order.WriteString(name); return 1, nil }
	}
	s, err := inTurns(t.Context(), 3, thing("a"), thing("b"))
	if err != nil || order.String() != "ababab" || len(s[0]) != 3 || len(s[1]) != 3 {
		t.Errorf("inTurns() = %v, %v in the order %s, want three turns each in the order ababab", s, err, order.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := inTurns(ctx, 3, thing("c")); !errors.Is(err, context.Canceled) {
		t.Errorf("inTurns(cancelled) = %v, want %v", err, context.Canceled)
	}
}

func TestChoose(t *testing.T) {
	all, err := choose(nil)
	if err != nil || len(all) != len(rows()) {
		t.Errorf("choose() = %d rows, %v, want all %d", len(all), err, len(rows()))
	}
	some, err := choose([]string{"match", "append"})
	if err != nil || len(some) != 2 || some[0].name != "match" || some[1].name != "append" {
		t.Errorf("choose(match, append) = %v, %v", some, err)
	}
	if _, err := choose([]string{"macth"}); err == nil || !strings.Contains(err.Error(), `"macth"`) || !strings.Contains(err.Error(), "coldstart") {
		t.Errorf("choose(macth) = %v, want an error that names it and the rows there are", err)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0.123: "0.12 ms", 12.34: "12.3 ms", 123.4: "123 ms", 1234: "1.2 k ms", 12345: "12 k ms", 1.5e6: "1.50 M ms"} {
		if got := figure(v, "ms"); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestRuleSetMatchesTheSame(t *testing.T) {
	for _, n := range []int{10, 100} {
		set, err := ruleSet(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := set.MatchEvent(orderEvent(), nil); len(got) != matching {
			t.Errorf("the event matches rules %v of %d, want %d of them", got, n, matching)
		}
	}
}
