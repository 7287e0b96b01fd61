package access_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
)

func TestRolesHaveRights(t *testing.T) {
	want := map[access.Role]string{
		access.Sender:   "send events",
		access.Viewer:   "read",
		access.Deployer: "read deploy shift call",
		access.Operator: "read shift call operate",
		access.Admin:    "send events read deploy shift call operate administer",
		"":              "",
		"root":          "", // of a newer binary
	}
	for role, rights := range want {
		var has []string
		for _, right := range access.Rights() {
			if role.Has(right) {
				has = append(has, string(right))
			}
		}
		if got := strings.Join(has, " "); got != rights {
			t.Errorf("role %q has %q, want %q", role, got, rights)
		}
	}
	if access.Admin.Has("") || access.Admin.Has("own") {
		t.Error("an admin has a right that is none")
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		globs string
		fits  string
		not   string
	}{
		{"", "pay staging.pay", ""},
		{"pay", "pay", "pays pa staging.pay pay.x"},
		{"shop-*", "shop-web shop-", "shop shop-web.pay staging.shop-web xshop-web"},
		{"*", "pay shop-web", "staging.pay"},
		{"*.*", "staging.pay", "pay"},
		{"staging.*", "staging.pay", "pay staging stagingx.pay prod.pay"},
		{"pr-*.web", "pr-1.web pr-a-b.web", "pr-1.pay web"},
		{"a*b*c", "abc axxbyyc abbc", "ab acb axb.xc abcd"},
		{"*-web,pay", "shop-web pay", "shop payx"},
	} {
		var g access.Grant
		if c.globs != "" {
			g.Functions = strings.Split(c.globs, ",")
		}
		for name := range strings.FieldsSeq(c.fits) {
			if !g.Covers(name) {
				t.Errorf("%q does not cover %q", c.globs, name)
			}
		}
		for name := range strings.FieldsSeq(c.not) {
			if g.Covers(name) {
				t.Errorf("%q covers %q", c.globs, name)
			}
		}
	}
}

// A pattern made to take long takes no longer than others.
func TestHostileGlobEnds(t *testing.T) {
	g := access.Grant{Role: access.Deployer, Functions: []string{strings.Repeat("a*", 63) + "b"}}
	if err := g.Check(time.Time{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 1000 {
		if g.Covers(strings.Repeat("a", 127)) {
			t.Fatal("it fits")
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("1000 looks took %v", took)
	}
}

func TestCheckRefusesGrants(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	many := make([]string, 65)
	for i := range many {
		many[i] = "a"
	}
	for _, c := range []struct {
		grant access.Grant
		says  string
	}{
		{access.Grant{Role: "root"}, `role: "root" is none`},
		{access.Grant{}, `role: "" is none`},
		{access.Grant{Role: access.Viewer, Functions: []string{"a"}}, "what a viewer may is not bounded by functions"},
		{access.Grant{Role: access.Admin, Functions: []string{"a"}}, "what an admin may is not bounded by functions"},
		{access.Grant{Role: access.Sender, Functions: []string{"a"}}, "is not bounded by functions"},
		{access.Grant{Role: access.Deployer, Functions: []string{}}, "the list names none"},
		{access.Grant{Role: access.Deployer, Functions: many}, "65 are more than 64"},
		{access.Grant{Role: access.Viewer, Expires: now}, "is over already"},
		{access.Grant{Role: access.Deployer, Functions: []string{""}}, "names no functions"},
		{access.Grant{Role: access.Deployer, Functions: []string{"shop/*"}}, "names no functions"},
		{access.Grant{Role: access.Deployer, Functions: []string{"[a-z]"}}, "names no functions"},
		{access.Grant{Role: access.Deployer, Functions: []string{"a.b.c"}}, "names no functions"},
		{access.Grant{Role: access.Deployer, Functions: []string{".a"}}, "names no functions"},
		{access.Grant{Role: access.Deployer, Functions: []string{"a\n"}}, "names no functions"},
		{access.Grant{Role: access.Deployer, Functions: []string{strings.Repeat("a", 129)}}, "names no functions"},
	} {
		err := c.grant.Check(now)
		if err == nil || !strings.Contains(err.Error(), c.says) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("Check(%.80v) = %v, want %q", c.grant, err, c.says)
		}
	}
}

func TestActorIsToldWhatHeMayNot(t *testing.T) {
	acme := access.Actor{Type: access.APIKey, ID: "q3", Grant: access.Grant{Role: access.Admin, Environment: "acme"}}
	shop := access.Actor{Type: access.APIKey, ID: "ci", Grant: access.Grant{Role: access.Deployer, Functions: []string{"shop-*", "pay"}}}
	for _, c := range []struct {
		err  error
		says string
		hint string
	}{
		{shop.Over(access.Deploy, "shop-web", "pay"), "", ""},
		{shop.Over(access.Deploy, "shop-web", "stock", "ship"), `the token ci may deploy shop-*, pay, and not "stock", "ship"`, "--role deployer"},
		{acme.Over(access.Deploy, "acme.pay"), "", ""},
		{acme.Over(access.Deploy, "pay"), `and not "pay"`, "call it acme.pay, as it is called in environment acme"},
		{acme.Over(access.Deploy, "beta.pay"), `and not "beta.pay"`, "one of their environment, or of none"},
		{shop.Over(access.Operate, "shop-web"), "the token ci has the role deployer, which may not operate", "operator or admin"},
		{shop.Everywhere(access.Deploy), "the token ci is for the functions shop-*, pay, and this is about more than them", "for all functions"},
		{access.Own().Everywhere(access.Administer), "", ""},
		{access.Actor{Type: access.APIKey, ID: "till", Grant: access.Grant{Role: access.Sender}}.May(access.Read), "the token till sends events and does nothing else", "viewer, deployer, operator or admin"},
		{access.Actor{Type: access.User, ID: "jane", Grant: access.Grant{Role: access.Viewer}}.May(access.Administer), "the user jane has the role viewer, which may not administer", "the role admin"},
	} {
		if c.says == "" {
			if c.err != nil {
				t.Errorf("refused: %v", c.err)
			}
			continue
		}
		if c.err == nil || !strings.Contains(c.err.Error(), c.says) || fault.KindOf(c.err) != fault.Denied || !strings.Contains(fault.HintOf(c.err), c.hint) {
			t.Errorf("says %v (hint %q), want %q, hint %q", c.err, fault.HintOf(c.err), c.says, c.hint)
		}
	}
}

func TestActorOfContext(t *testing.T) {
	if a := access.From(context.Background()); a.Type != access.System || a.ID != "node" {
		t.Errorf("nobody is %v, want the node", a)
	}
	if a := access.From(access.With(context.Background(), access.Own())); a.Type != access.APIKey {
		t.Errorf("who was said is %v", a)
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"Bearer x": "x", "bearer  x ": "x", "Basic amFuZTp4": "x", "Basic !": "", "x": "", "": "", "Digest x": "",
	} {
		r := &http.Request{Header: http.Header{}}
		if in != "" {
			r.Header.Set("Authorization", in)
		}
		if got := access.Shown(r); got != want {
			t.Errorf("Shown(%q) = %q, want %q", in, got, want)
		}
	}
	r := &http.Request{Header: http.Header{"Authorization": {"Bearer a", "Bearer b"}}}
	if got := access.Shown(r); got != "" {
		t.Errorf("of two, %q is shown", got)
	}
}
