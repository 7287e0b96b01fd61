package cli

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/wire"
)

func TestAWarningOfFencesNamesItsFunctions(t *testing.T) {
	var out strings.Builder
	warnOfFences(&out, []wire.FunctionSummary{
		{Name: "a", Lacks: []string{"a limit on memory"}}, {Name: "b"}, {Name: "c", Lacks: []string{"a limit on memory"}}, {Name: "d", Lacks: []string{"its runner oci:x"}},
	})
	want := "warning: a, c: not fenced whole; what is lacking: a limit on memory; dalamb doctor says why\n" +
		"warning: d: not fenced whole; what is lacking: its runner oci:x; dalamb doctor says why\n"
	if out.String() != want {
		t.Errorf("warnOfFences printed\n%swant\n%s", &out, want)
	}
	if got := names(strings.Fields("a b c d e f g")); got != "a, b, c, d, e and 2 more" {
		t.Errorf("names = %q", got)
	}
}

func TestATroubleIsToldInOneLine(t *testing.T) {
	now := time.Unix(1e9, 0)
	next := now.Add(12300 * time.Millisecond)
	for _, c := range []struct {
		of   wire.Trouble
		want string
	}{
		{wire.Trouble{Function: "f", Version: 3, Kind: "start", Reason: "no\nsuch\r\nfile", Times: 4, Next: &next}, "its instances do not start, 4 times in a row since"},
		{wire.Trouble{Function: "f", Version: 3, Kind: "start", Reason: "no\nsuch\r\nfile", Times: 4, Next: &next}, "; the next one comes in 12s: no | such | file"},
		{wire.Trouble{Function: "f", Version: 3, Kind: "health", Reason: "500", Times: 1, Next: &now}, " version 3: its instances are not well, 1 time in a row since"},
		{wire.Trouble{Function: "f", Kind: "reserved", Reason: "asks for 9"}, ": asks for 9"},
	} {
		got := aboutTrouble(c.of, now)
		if !strings.Contains(got, c.want) || strings.ContainsAny(got, "\r\n") {
			t.Errorf("aboutTrouble(%+v) = %q, want %q in it", c.of, got, c.want)
		}
	}
}

func TestALongReasonKeepsItsEnd(t *testing.T) {
	long := "the function ended: " + strings.Repeat("ü at line 1\n", 500) + "KeyError: 'total'"
	got := oneLine(long)
	if len(got) > 420 || !strings.HasPrefix(got, "the function ended: ") || !strings.HasSuffix(got, "KeyError: 'total'") || !utf8.ValidString(got) {
		t.Errorf("oneLine = %q (%d bytes), want at most about 400 with the end", got, len(got))
	}
}
