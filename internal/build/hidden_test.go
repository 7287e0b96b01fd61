package build

import (
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

func TestSecretsAreHiddenWhole(t *testing.T) {
	const short, long = "abcd", "abcdefghijklmnopqrstuvwxyz"
	hide := hidden([]runner.SecretFile{{Name: "a", Text: []byte(short + "\n")}, {Name: "b", Text: []byte("12\n" + long + "\n\xff\xfeabc\nxyz12345")}})
	for name, c := range map[string]struct{ line, want string }{
		"none":                           {"plain 12", "plain 12"},
		"one that begins as a short one": {"=" + long + "=", "=" + instead + "="},
		"a short one":                    {short + "efx", instead + "efx"},
		"one that begins in another":     {"=" + long + "12345=", "=" + instead + "="},
		"two, one behind the other":      {short + short, instead + instead},
		"one that is no text":            {"x\xff\xfeabc", "x" + instead},
		"a long line":                    {strings.Repeat("x", 3*maxLogLine), strings.Repeat("x", maxLogLine)},
		"one across the cut":             {strings.Repeat("x", maxLogLine-6) + long + long, strings.Repeat("x", maxLogLine-6) + instead[:6]},
	} {
		t.Run(name, func(t *testing.T) {
			l := &buildLog{hide: hide, partial: map[int][]byte{}, heard: map[string]bool{}}
			if got := l.cut(0, []byte(c.line+"\n")); len(got) != 1 || got[0] != c.want {
				t.Errorf("the line is %d bytes, %q; want %q", len(got[0]), got, c.want)
			}
		})
	}
	// Wherever a line ends, and however much was hidden before.
	for n := range 2 * maxLogLine {
		l := &buildLog{hide: hide, partial: map[int][]byte{}, heard: map[string]bool{}}
		got := l.cut(0, []byte(strings.Repeat("-", n)+strings.Repeat(long, 2*maxLogLine/len(long))+"\n"))
		if rest := strings.ReplaceAll(strings.TrimLeft(got[0], "-"), instead, ""); !strings.HasPrefix(instead, rest) {
			t.Fatalf("after %d bytes a line of secrets leaves %q", n, rest)
		}
	}
}
