package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestExitCodes(t *testing.T) {
	seen := map[fault.Kind]bool{}
	for _, e := range ExitCodes() {
		if seen[e.Kind] {
			t.Errorf("%v stands in the table twice", e.Kind)
		}
		seen[e.Kind] = true
		if got := codeOf(fmt.Errorf("deploy: %w", fault.New(e.Kind, "x"))); got != e.Code {
			t.Errorf("codeOf(%v) = %d, want %d", e.Kind, got, e.Code)
		}
	}
	for k := fault.Internal; k <= fault.Timeout; k++ {
		if !seen[k] {
			t.Errorf("%v has no exit code", k)
		}
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("disk on fire"), 1},
		{usageError{"dalamb runs", errors.New("unknown flag")}, 2},
		{fmt.Errorf("run: %w", usageError{"dalamb runs", fault.New(fault.NotFound, "no such command")}), 2},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("codeOf(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestRoughly(t *testing.T) {
	for in, want := range map[string]string{
		"forever":        "forever",
		"10Gi":           "10Gi",
		"10737418239":    "10Gi",
		"10737418241":    "10Gi",
		"1073741823":     "1Gi",
		"1610612737":     "1.5Gi",
		"65535":          "64Ki",
		"65536":          "64Ki",
		"500":            "500",
		"1023":           "1023",
		"1500":           "1.5Ki",
		"10240Gi":        "10Ti",
		"10995116277761": "10Ti",
	} {
		if got := roughly(in); got != want {
			t.Errorf("roughly(%s) = %s, want %s", in, got, want)
		}
	}
}
