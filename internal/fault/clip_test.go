package fault_test

import (
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestClip(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"o-1":                         "o-1",
		strings.Repeat("k", 64):       strings.Repeat("k", 64),
		strings.Repeat("k", 65):       strings.Repeat("k", 64) + "...",
		strings.Repeat("k", 9000):     strings.Repeat("k", 64) + "...",
		strings.Repeat("k", 63) + "é": strings.Repeat("k", 63) + "...",
		strings.Repeat("\x80", 9000):  strings.Repeat("\x80", 60) + "...",
	} {
		if got := fault.Clip(in); got != want {
			t.Errorf("Clip of %d bytes = %q, want %q", len(in), got, want)
		}
	}
}
