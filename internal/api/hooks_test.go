package api

import (
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

func TestHooksAreSetShownAndRemoved(t *testing.T) {
	n := newNode(t)
	body := `{"provider":"github","url":"git@github.com:acme/shop.git","secret":"shop-hook","deployKey":"shop-hook","knownHosts":"github.com ssh-ed25519 AAAA"}`
	if a := n.do("PUT", "/v1/hooks/shop", body); a.status != 404 || !strings.Contains(a.body, "dalamb secret set shop-hook") {
		t.Errorf("a hook without its secret: %d %s", a.status, a.body)
	}
	_, err := n.catalog.Submit(t.Context(), catalog.SetSecret{Name: "shop-hook", Sealed: secret.Sealed{Key: "age1x"}})
	ok(t, err)
	for i, want := range []string{`"path":"/_/hooks/github/shop"`, `"unchanged":true`} {
		if a := n.do("PUT", "/v1/hooks/shop", body); a.status != 200 || !strings.Contains(a.body, want) || !strings.Contains(a.body, `"url":"ssh://git@github.com/acme/shop.git"`) {
			t.Errorf("set, time %d: %d %s, want %s", i+1, a.status, a.body, want)
		}
	}
	if h, err := n.client.Hook(t.Context(), "shop"); err != nil || h.Secret != "shop-hook" || h.Deliveries == nil {
		t.Errorf("Hook = %+v, %v", h, err)
	}
	if list, err := n.client.Secrets(t.Context()); err != nil || len(list.Secrets) != 1 || strings.Join(list.Secrets[0].Hooks, " ") != "shop" {
		t.Errorf("Secrets = %+v, %v", list, err)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"PUT", "/v1/hooks/toys", body[:1] + `"name":"shop",` + body[1:], 400, `in the body and \"toys\" in the path`},
		{"PUT", "/v1/hooks/Toys", body, 400, "is no name for a hook"},
		{"PUT", "/v1/hooks/toys", `{"provider":"github","url":"file:///etc","secret":"shop-hook"}`, 400, "url: is of the kind"},
		{"PUT", "/v1/hooks/toys", `{"providr":"github"}`, 400, "providr"},
		{"GET", "/v1/hooks/shopp", "", 404, "did you mean shop"},
		{"GET", "/v1/hooks/shop?limit=0", "", 400, "limit"},
		{"POST", "/v1/hooks/toys/test", "", 404, "no hook"},
		{"DELETE", "/v1/hooks/toys", "", 404, "no hook"},
		{"DELETE", "/v1/secrets/shop-hook", "", 409, "is taken by hook shop"},
		{"DELETE", "/v1/hooks/shop", "", 204, ""},
	} {
		if a := n.do(c.method, c.path, c.body); a.status != c.status || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, a.status, a.body, c.status, c.says)
		}
	}
	if list, err := n.client.Hooks(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("Hooks = %v, %v", list, err)
	}
	if _, err := n.client.SetHook(t.Context(), function.Hook{Name: "shop"}); err == nil {
		t.Error("a hook without anything was set")
	}
}
