package fault_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestNearest(t *testing.T) {
	known := []string{"validate", "pay", "confirm", "ship", "shop", "mailer", "orders", "orders-eu"}
	for _, c := range []struct {
		name string
		want []string
	}{
		{"valdate", []string{"validate"}},
		{"Pay", []string{"pay"}},
		{"pya", []string{"pay"}},
		{"shap", []string{"ship", "shop"}},
		{"order", []string{"orders", "orders-eu"}},
		{"mailerr", []string{"mailer"}},
		{"refund", nil},
		{"", nil},
		{"x", nil},
	} {
		if got := fault.Nearest(c.name, known); !slices.Equal(got, c.want) {
			t.Errorf("Nearest(%q) = %q, want %q", c.name, got, c.want)
		}
	}
	if got := fault.Nearest("ab", []string{"ab1", "ab2", "ab3", "ab4", "ab1"}); len(got) != 3 || got[0] != "ab1" {
		t.Errorf("Nearest(ab) = %q, want the first three, each once", got)
	}
}

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		name  string
		known []string
		hint  string
	}{
		{"evnts", []string{"events"}, "did you mean events?"},
		{"zzz", []string{"events"}, ""},
		{"zzz", nil, "there is no topic yet"},
	} {
		err := fault.Missing("topic", c.name, c.known)
		if err.Kind != fault.NotFound || err.Hint != c.hint {
			t.Errorf("Missing(%q, %q) = %v with hint %q, want not found with hint %q", c.name, c.known, err.Kind, err.Hint, c.hint)
		}
	}
}

func TestMistypedIsByDistanceAlone(t *testing.T) {
	known := []string{"CONTROL", "TOKEN", "CA", "DATA"}
	for name, want := range map[string]string{
		"TOKE": "TOKEN", "CONTORL": "CONTROL", "DATTA": "DATA",
		"CONTROL_SERVICE_HOST": "", "DATABASE_URL": "", "CACHE_DIR": "", "CONTROL_PORT": "",
	} {
		if got := strings.Join(fault.Mistyped(name, known), " "); got != want {
			t.Errorf("Mistyped(%s) = %q, want %q", name, got, want)
		}
	}
}
