package git

import (
	"maps"
	"slices"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
)

// export is a directory as dalamb export writes it: pay, whose code has a manifest in it, for two aliases, and in an environment.
func export() map[string]string {
	return map[string]string{
		"installation.yaml":                                        "topics: []\n",
		"functions/pay/dalamb.yaml":                                "name: pay\ncode: code\nentry: {type: stdio, command: [./pay.sh]}\n",
		"functions/pay/code/pay.sh":                                "#!/bin/sh\ncat\n",
		"functions/pay/code/dalamb.yaml":                           payManifest,
		"functions/pay@preview@new/dalamb.yaml":                    "name: pay\ncode: code\nentry: {type: stdio, command: [./pay.sh]}\n",
		"functions/pay@preview@new/code/pay.sh":                    "#!/bin/sh\necho new\n",
		"environments/staging/installation.yaml":                   "topics: []\n",
		"environments/staging/functions/pay/dalamb.yaml":           "name: pay\ncode: code\nentry: {type: stdio, command: [./pay.sh]}\n",
		"environments/staging/functions/pay/code/pay.sh":           "#!/bin/sh\necho staging\n",
		"environments/staging/functions/pay/code/more/dalamb.yaml": "broken: [\n",
	}
}

func TestAnExportedDirectoryIsDelivered(t *testing.T) {
	h, w := newHost(t), newWork(t)
	w.commit("first", export())
	wantText(t, w.pushed(h.url, "main"), "pay                  version 1 (live)  deployed", "pay                  version 2 (preview/new)  deployed",
		"staging.pay          version 1 (live)  deployed", "functions alone are delivered; dalamb apply makes topics and all else that installation.yaml says")
	want := map[goneAlias]int{{Name: "pay", Alias: "live"}: 1, {Name: "pay", Alias: "preview/new"}: 2, {Name: "staging.pay", Alias: "live"}: 1}
	if !maps.Equal(h.aliases, want) {
		t.Errorf("aliases are %v, want %v", h.aliases, want)
	}
	w.commit("without", map[string]string{"functions/pay@preview@new": ""})
	wantText(t, w.pushed(h.url, "main"), "pay                  version 2 (preview/new)  stays, though the branch delivers it no longer; dalamb alias rm pay preview/new takes it away")

	// What stands for an alias goes where live goes, and nowhere else.
	files := export()
	files["functions/pay/dalamb.yaml"] += "deliver: {branches: {next: next}}\n"
	files["functions/pay@preview@new/dalamb.yaml"] += "deliver: {branches: {next: next}}\n"
	w.commit("elsewhere", files)
	wantText(t, w.pushed(h.url, "main:next"), "pay                  version 1 (next)  nothing new in it; the alias is new")
	if n := len(h.versions["pay"]); n != 2 {
		t.Errorf("pay has %d versions, want 2", n)
	}
}

func TestWhatStandsWhereInAnExport(t *testing.T) {
	all := exports{".": true, "environments/dev": true, "sub/shop": true, "environments/Bad": true, "functions/pay/code": true}
	for _, c := range []struct {
		path   string
		at     exported
		counts bool
		bad    bool
	}{
		{"functions/pay/dalamb.yaml", exported{}, true, false},
		{"functions/pay@a@b/dalamb.yaml", exported{alias: "a/b"}, true, false},
		{"functions/pay@A/dalamb.yaml", exported{alias: "A"}, true, true},
		{"functions/pay@/dalamb.yaml", exported{}, true, true},
		{"functions/pay/code/dalamb.yaml", exported{}, false, false},
		{"functions/pay/code/functions/x/dalamb.yaml", exported{}, false, false},
		{"functions/dalamb.yaml", exported{}, false, false},
		{"dalamb.yaml", exported{}, true, false},
		{"other/dalamb.yaml", exported{}, true, false},
		{"environments/dev/functions/pay/dalamb.yaml", exported{env: "dev"}, true, false},
		{"environments/Bad/functions/pay/dalamb.yaml", exported{}, true, true},
		{"sub/shop/functions/pay@next/dalamb.yaml", exported{alias: "next"}, true, false},
		{"sub/functions/pay@next/dalamb.yaml", exported{}, true, false},
	} {
		at, counts, err := all.of(c.path)
		if at != c.at || counts != c.counts || (err != nil) != c.bad {
			t.Errorf("%s stands for %+v, %v, %v; want %+v, %v, bad %v", c.path, at, counts, err, c.at, c.counts, c.bad)
		}
	}
	d := &delivered{at: exported{env: "dev"}}
	d.Deliver = &function.Deliver{Branches: map[string]string{"main": "staging.live", "dev": "dev.live"}}
	if got := []string{d.target("main").Alias, d.target("dev").Env, d.target("other").Alias}; !slices.Equal(got, []string{"", "dev", ""}) {
		t.Errorf("a manifest of dev is delivered to %q", got)
	}
}
