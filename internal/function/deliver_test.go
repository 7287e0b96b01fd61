package function

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestAliasOfABranch(t *testing.T) {
	said := &Deliver{Branches: map[string]string{"main": "live", "feature/*": "preview/*", "feature/big-*": "big-*", "release/*": "stage", "*-fix": "fix"}}
	for _, c := range []struct {
		deliver       *Deliver
		branch, alias string
	}{
		{nil, "main", "live"},
		{nil, "master", "live"},
		{nil, "trunk", ""},
		{nil, "feature/main", ""},
		{said, "main", "live"},
		{said, "master", ""},
		{said, "feature/login", "preview/login"},
		{said, "feature/big-one", "big-one"},
		{said, "feature/", ""},
		{said, "release/1.0", "stage"},
		{said, "hot-fix", "fix"},
		{said, "-fix", ""},
	} {
		if got, own := c.deliver.alias(c.branch); got != c.alias || own != strings.HasPrefix(c.branch, "feature/") && c.alias != "" {
			t.Errorf("Alias(%q) = %q, own %v, want %q, own only where the branch is in it", c.branch, got, own, c.alias)
		}
	}
}

func TestTwoBranchesHaveTwoAliases(t *testing.T) {
	d := &Deliver{Branches: map[string]string{"*": "p-*"}}
	seen := map[string]string{}
	alias := regexp.MustCompile(`^p-[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$`)
	for _, branch := range []string{"a", "A", "a/b", "a-b", "a_b", "ä", "-", "--", "é", strings.Repeat("x", 200), strings.Repeat("x", 201), "x/../y", "1"} {
		got := d.Target(branch).Alias
		if !alias.MatchString(got) || seen[got] != "" {
			t.Errorf("Alias(%q) = %q, which %q has; want an alias of its own", branch, got, seen[got])
		}
		seen[got] = branch
	}
}

func TestDeliverInAManifest(t *testing.T) {
	m := parse(t, minimal+"deliver: {branches: {main: live, \"feature/*\": \"preview/*\"}}")
	if got := m.Functions[0].Deliver.Target("feature/x").Alias; got != "preview/x" {
		t.Errorf("feature/x is delivered to %q, want preview/x", got)
	}
	m = parse(t, minimal+"deliver: {branches: {develop: staging.live, \"feature/*\": \"staging.preview/*\"}}")
	for branch, want := range map[string]Target{"develop": {"staging", "live", false}, "feature/x": {"staging", "preview/x", true}, "main": {}} {
		if got := m.Functions[0].Deliver.Target(branch); got != want {
			t.Errorf("Target(%q) = %+v, want %+v", branch, got, want)
		}
	}
	for _, c := range []struct{ text, field, message string }{
		{"deliver: {branches: {main: production.live}}", "deliver.branches.main", "is no environment"},
		{"deliver: {branches: {main: .live}}", "deliver.branches.main", "is no environment"},
		{"deliver: {branches: {main: staging.}}", "deliver.branches.main", "is no alias"},
		{"deliver: {branches: {main: a.b.live}}", "deliver.branches.main", "is no alias"},
		{"deliver: {branches: {\"x/*\": \"*.live\"}}", "deliver.branches.x/*", "is no environment"},
		{"deliver: {}", "deliver", "branches"},
		{"deliver: {branches: {}}", "deliver.branches", "names 0 branches"},
		{"deliver: {branches: {main: Live}}", "deliver.branches.main", `"Live" is no alias`},
		{"deliver: {branches: {main: 1}}", "deliver.branches.main", "not text"},
		{"deliver: {branches: {main: \"p-*\"}}", "deliver.branches.main", "has a *"},
		{"deliver: {branches: {\"*/*\": \"p-*\"}}", "deliver.branches.*/*", "neither a branch"},
		{"deliver: {branches: {\"refs/heads/x\": live}}", "deliver.branches.refs/heads/x", "neither a branch"},
		{"deliver: {branches: {\"x/*\": live}}", "deliver.branches.x/*", "cannot all be live"},
		{"deliver: {tags: {x: live}}", "deliver.tags", "tags"},
	} {
		_, err := ParseManifest("f", []byte(minimal+c.text))
		me, _ := errors.AsType[*ManifestError](err)
		if me == nil || !strings.HasPrefix(me.Problems[0].Field, c.field) || !strings.Contains(me.Error(), c.message) {
			t.Errorf("%s: %v, want %s: %s", c.text, err, c.field, c.message)
		}
	}
}
