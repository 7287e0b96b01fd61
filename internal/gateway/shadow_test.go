package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/shadow"
)

// offered are the calls that were offered for a copy.
type offered struct {
	mu  sync.Mutex
	all []shadow.Copy
}

func (o *offered) Offer(c shadow.Copy) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, c)
}

func (o *offered) take() []shadow.Copy {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.all
	o.all = nil
	return all
}

func TestCallsByAliasAreOfferedWithTheirOutcome(t *testing.T) {
	var o offered
	var saw http.Header
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if got := o.take(); got != nil {
			t.Errorf("%d calls were offered before their outcome", len(got))
		}
		saw = c.Invocation.Request.Header.Clone()
		return &function.Result{Outcome: function.Succeeded, Status: 201, Body: []byte("made"), Version: 1}, nil
	}), func(opts *Options) { opts.Shadow = &o })
	n.deploy("shop", route("orders", "POST", "/orders"))

	n.send("POST", "/orders?token=secret&a=1", "an order", "Authorization", "", function.ShadowHeader, "true")
	got := o.take()
	if len(got) != 1 {
		t.Fatalf("%d calls were offered, want the request", len(got))
	}
	c := got[0]
	if c.Function != "shop" || string(c.Body) != "an order" || c.Result.Status != 201 || c.Invocation.Run == "" || c.Name() != "POST /orders?token=[redacted]&a=1" {
		t.Errorf("offered %+v named %q", c, c.Name())
	}
	if saw.Get(function.ShadowHeader) != "" {
		t.Errorf("the function saw %q: a client can pretend that its request is a copy", saw.Get(function.ShadowHeader))
	}

	n.send("POST", "/_/fn/shop/x", "by name", keyHeader, "k-1")
	if got := o.take(); len(got) != 1 || got[0].Key != "k-1" {
		t.Errorf("offered %+v, want the call by name with its key", got)
	}
	n.send("POST", "/_/fn/shop:1/x", "by number")
	if got := o.take(); len(got) != 0 {
		t.Errorf("offered %+v, want nothing: the caller chose the version", got)
	}
}

func TestWhatCannotBeMadeAgainIsNotOffered(t *testing.T) {
	var o offered
	n := start(t, taking(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Version: 1}, nil
	}), func(opts *Options) { opts.Shadow, opts.Limits.Request = &o, 10 })
	n.deploy("shop", route("orders", "POST", "/orders"))
	n.send("POST", "/orders", strings.Repeat("x", 100))
	if got := o.take(); len(got) != 0 {
		t.Errorf("offered %+v, want nothing of a body that was passed on while it came", got)
	}
}
