package cli

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// busy is a view of three functions, of which one was not called.
func busy() *topView {
	measures := func(errors, average, p95 float64, samples int) []wire.HealthMeasure {
		return []wire.HealthMeasure{{Name: "queue", Average: 1.5}, {Name: "errors", Average: errors, Samples: samples}, {Name: "response", Average: average, P95: p95}}
	}
	window := function.Duration(30 * time.Second)
	return newTopView(&wire.Node{Space: "ok", Instances: 3}, &wire.NodeHealth{
		Health: wire.Health{Grade: "healthy", Window: window},
		Functions: []wire.Health{
			{Function: "pay", Grade: "unhealthy", Measures: measures(.25, .0123, 1.5, 60)},
			{Function: "a-function-with-a-long-name", Grade: "healthy", Measures: measures(0, 59.994, 123.4, 300_000)},
		},
	}, []wire.FunctionSummary{
		{Name: "idle", Version: 1, Lag: 7}, {Name: "pay", Version: 12, Instances: 2},
		{Name: "a-function-with-a-long-name", Version: 1234, Instances: 1000, Lag: 999_999, Troubles: []wire.Trouble{{Reason: strings.Repeat("no place ", 20)}}},
	})
}

func column(lines []string) (names []string) {
	for _, line := range lines[4:] {
		if !strings.HasPrefix(line, " ") {
			names = append(names, strings.Fields(line)[0])
		}
	}
	return names
}

func TestTopFitsInEightyColumns(t *testing.T) {
	by, err := topOrderOf("rate")
	if err != nil {
		t.Fatal(err)
	}
	lines := busy().lines(by, time.Now())
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	want := "pay                 12 unhealthy     2.0  25.0  12.3ms    1.5s    2   1.5      0"
	if got := lines[6]; got != want {
		t.Errorf("a line = %q\n       want %q", got, want)
	}
	if want := "idle                 1 -             0.0   0.0       -       -    0     0      7"; lines[7] != want {
		t.Errorf("one that was not called = %q\n                     want %q", lines[7], want)
	}
}

func TestKeysSortTopAndEndIt(t *testing.T) {
	by, err := topOrderOf("rate")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		key  byte
		want string
	}{
		{'e', "pay a-function-with-… idle"},
		{'e', "a-function-with-… idle pay"},
		{'n', "a-function-with-… idle pay"},
		{'n', "pay idle a-function-with-…"},
		{'l', "a-function-with-… idle pay"},
		{'x', "a-function-with-… idle pay"}, // no key
		{'w', "a-function-with-… pay idle"},
	} {
		on := false
		if by, on = by.pressed(step.key); !on {
			t.Fatalf("%c ends the view", step.key)
		}
		if got := strings.Join(column(busy().lines(by, time.Now())), " "); got != step.want {
			t.Errorf("after %c: %s, want %s", step.key, got, step.want)
		}
	}
	for _, key := range []byte{'q', 3} {
		if _, on := by.pressed(key); on {
			t.Errorf("key %d does not end it", key)
		}
	}
}
