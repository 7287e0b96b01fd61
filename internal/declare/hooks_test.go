package declare

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestHooksAreCompared(t *testing.T) {
	hook := function.Hook{Name: "shop", Provider: "github", URL: "https://github.com/acme/shop", Secret: "shop-hook"}
	base := func() *State { return &State{Secrets: []string{"shop-hook"}, Hooks: []function.Hook{hook}} }
	for name, c := range map[string]struct {
		change func(*State)
		prune  bool
		want   []string
		notes  int
		bad    string
	}{
		"nothing": {change: func(*State) {}},
		"another URL": {change: func(s *State) { s.Hooks[0].URL, s.Hooks[0].NoStatus = "https://github.com/acme/toys", true }, want: []string{
			"change hook shop: url: https://github.com/acme/shop -> https://github.com/acme/toys; noStatus: false -> true",
		}},
		"other hosts":   {change: func(s *State) { s.Hooks[0].KnownHosts = "x" }, want: []string{"change hook shop: knownHosts: others"}},
		"a new one":     {change: func(s *State) { s.Hooks = append(s.Hooks, function.Hook{Name: "toys", Secret: "shop-hook"}) }, want: []string{"create hook toys"}},
		"less":          {change: func(s *State) { s.Hooks = nil }, notes: 1},
		"less, pruned":  {change: func(s *State) { s.Hooks = nil }, prune: true, want: []string{"remove hook shop"}},
		"without token": {change: func(s *State) { s.Hooks[0].Token = "shop-token" }, bad: "secret shop-token is not there, and is taken by hook shop: set it first"},
	} {
		want := base()
		c.change(want)
		p, err := Compare(base(), want, c.prune)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: Compare = %v, want %q", name, err, c.bad)
			}
			continue
		}
		if err != nil || !slices.Equal(steps(p), c.want) || len(p.Notes) != c.notes {
			t.Errorf("%s: Compare = %q, %v", name, steps(p), err)
		}
	}
}

func TestWrongFilesOfAllEnvironmentsAreTold(t *testing.T) {
	dir := directory(t, map[string]string{InstallationFile: "topic: x\n", "environments/staging/installation.yaml": "secret: x\n", "environments/test/installation.yaml": "config: [\n"})
	_, _, err := ReadAll(dir)
	for _, want := range []string{InstallationFile + ":1:1: topic: unknown field", "staging/installation.yaml:1:1: secret: unknown field", "test/installation.yaml:1:10: not valid YAML: "} {
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) || fault.HintOf(err) != "nothing was changed" {
			t.Errorf("ReadAll = %v (%s), want %q", err, fault.HintOf(err), want)
		}
	}
}

func TestHooksOfAnEnvironmentAreRefused(t *testing.T) {
	dir := t.TempDir()
	staging := filepath.Join(dir, environmentsDir, "staging")
	if err := os.MkdirAll(staging, 0o755); err != nil {
		t.Fatal(err)
	}
	hooks := []byte("hooks: [{name: shop, provider: github, url: 'https://h/p', secret: s}]\n")
	for at, text := range map[string][]byte{dir: nil, staging: hooks} {
		if err := os.WriteFile(filepath.Join(at, InstallationFile), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := ReadAll(dir)
	want := filepath.Join(staging, InstallationFile) + " declares hooks"
	if fault.KindOf(err) != fault.Invalid || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("ReadAll = %v, want an Invalid fault that begins with %q", err, want)
	}
}
