package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

func TestHooksSurviveARestart(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	shop := function.Hook{Name: "shop", Provider: "github", URL: "https://github.com/acme/shop", Secret: "shop-hook"}
	if _, err := c.Submit(t.Context(), SetHook{Hook: shop}); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), `hook "shop" takes a secret that is not there`) {
		t.Errorf("a hook without its secret = %v", err)
	}
	for _, name := range []string{"shop-hook", "shop-token"} {
		submit(t, c, SetSecret{Name: name, Sealed: secret.Sealed{Key: "age1x"}})
	}
	before := submit(t, c, SetHook{Hook: shop})
	shop.Token = "shop-token"
	v := submit(t, c, SetHook{Hook: shop})
	if old, _ := before.Hook("shop"); old.Token != "" {
		t.Errorf("the older view = %+v, want it unchanged", old)
	}
	check := func(when string, v *View) {
		t.Helper()
		if h, err := v.Hook("shop"); err != nil || h.Hook != shop || h.Changed.IsZero() || len(v.Hooks()) != 1 {
			t.Errorf("%s: hook = %+v, %v", when, h, err)
		}
	}
	check("at once", v)
	stop()
	c, stop = start(t, log, store)
	check("from the snapshot", caughtUp(t, c))
	stop()
	c, _ = start(t, log, nil)
	check("from the log", caughtUp(t, c))

	if _, err := c.Submit(t.Context(), RemoveSecret{Name: "shop-token"}); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "taken by hook shop") {
		t.Errorf("the secret of a hook was removed: %v", err)
	}
	submit(t, c, RemoveHook{Name: "shop"})
	v = submit(t, c, RemoveSecret{Name: "shop-token"})
	if _, err := v.Hook("shop"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a removed hook = %v, want not found", err)
	}
	if _, err := c.Submit(t.Context(), RemoveHook{Name: "shop"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("removed twice = %v, want not found", err)
	}
}

func TestHooksAreBounded(t *testing.T) {
	hooks := map[string]Hook{}
	for i := range maxHooks {
		name := fmt.Sprintf("h%d", i)
		hooks[name] = Hook{Hook: function.Hook{Name: name}}
	}
	at := scene{view: &View{settings: settings{Hooks: hooks}}}
	if _, err := (SetHook{Hook: function.Hook{Name: "more"}}).event(t.Context(), at); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("one more = %v, want Exhausted", err)
	}
	if _, err := (SetHook{Hook: function.Hook{Name: "h1"}}).event(t.Context(), at); err != nil {
		t.Errorf("a change = %v", err)
	}
}
