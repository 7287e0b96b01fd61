package function

import (
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestOrigin(t *testing.T) {
	whole := Origin{Kind: OriginGit, Repository: "shop", Commit: strings.Repeat("ab", 20), Branch: "main", Author: "Jané <j@example.com>", Pusher: "jane"}
	for _, c := range []struct {
		name    string
		change  func(*Origin)
		problem string // "" = none
		line    string
	}{
		{"whole", func(*Origin) {}, "", "git shop main abababababab, Jané <j@example.com>"},
		{"kind alone", func(o *Origin) { *o = Origin{Kind: OriginCLI} }, "", "cli"},
		{"short commit", func(o *Origin) { o.Commit = "abc" }, "", "git shop main abc, Jané <j@example.com>"},
		{"no kind", func(o *Origin) { o.Kind = "" }, "origin.kind", ""},
		{"another kind", func(o *Origin) { o.Kind = "ftp" }, "origin.kind", ""},
		{"two lines", func(o *Origin) { o.Author = "a\nb" }, "origin.author", ""},
		{"terminal", func(o *Origin) { o.Branch = "\x1b[2J" }, "origin.branch", ""},
		{"not UTF-8", func(o *Origin) { o.Pusher = "\xff" }, "origin.pusher", ""},
		{"long", func(o *Origin) { o.URL = strings.Repeat("x", maxOrigin+1) }, "origin.url", ""},
		{"no commit", func(o *Origin) { o.Commit = "--upload-pack=x" }, "origin.commit", ""},
	} {
		o := whole
		c.change(&o)
		err := o.Validate()
		if c.problem == "" {
			if err != nil || o.String() != c.line {
				t.Errorf("%s: Validate = %v, String = %q, want nil and %q", c.name, err, o.String(), c.line)
			}
			continue
		}
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: Validate = %v, want %s named", c.name, err, c.problem)
		}
	}
}
