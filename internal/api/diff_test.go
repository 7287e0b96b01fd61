package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestDiffOfVersions(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest+"env: {LEVEL: info, API_TOKEN: one, OLD: x, DB: 'postgres://u:p@h/d'}\n", "one")
	n.deploy(strings.NewReplacer("order.validated", "order.paid", "  - {name: web", "  - {name: front").Replace(payManifest)+
		"timeout: 5s\nenv: {LEVEL: debug, API_TOKEN: two, NEW: y, DB: 'postgres://u:q@h/d'}\n", "two")
	d, err := n.client.Diff(t.Context(), "pay", 1, 2)
	ok(t, err)
	var got []string
	for _, c := range d.Settings {
		got = append(got, fmt.Sprintf("%s %s %s", c.Path, c.Before, c.After))
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], `code "sha256:`) || got[1] != `timeout "30s" "5s"` {
		t.Errorf("settings = %q", got)
	}
	got = nil
	for _, e := range d.Env {
		text := e.Name
		for _, v := range []*string{e.Before, e.After} {
			if v == nil {
				text += " -"
			} else {
				text += " " + *v
			}
		}
		got = append(got, text)
	}
	if want := []string{"API_TOKEN (hidden) (hidden)", "DB (hidden) (hidden)", "LEVEL info debug", "NEW - y", "OLD x -"}; strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("env = %q, want %q", got, want)
	}
	got = nil
	for _, tr := range d.Triggers {
		text := tr.Name + " " + tr.State
		for _, c := range tr.Changes {
			text += fmt.Sprintf(" %s %s %s", c.Path, c.Before, c.After)
		}
		got = append(got, text)
	}
	if want := []string{"front added", `on-order changed filter.type[0] "order.validated" "order.paid"`, "web removed"}; strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("triggers = %q, want %q", got, want)
	}
	if len(d.Files) != 1 || d.Files[0].State != changed || d.Files[0].Before.Bytes != 3 || d.MoreFiles != 0 || d.FilesError != "" {
		t.Errorf("files = %+v, %d more, error %q", d.Files, d.MoreFiles, d.FilesError)
	}
	same, err := n.client.Diff(t.Context(), "pay", 2, 2)
	ok(t, err)
	if len(same.Settings)+len(same.Env)+len(same.Triggers)+len(same.Files) != 0 {
		t.Errorf("a version differs from itself: %+v", same)
	}
	for _, bad := range [][2]int{{0, 1}, {1, 9}, {-1, 1}} {
		if _, err := n.client.Diff(t.Context(), "pay", bad[0], bad[1]); fault.KindOf(err) != fault.Invalid && fault.KindOf(err) != fault.NotFound {
			t.Errorf("Diff(%v) = %v", bad, err)
		}
	}
}
