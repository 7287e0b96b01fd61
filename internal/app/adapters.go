package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/alert"
	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/aws"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/dispatch"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/gateway"
	"github.com/dalamb/dalamb/internal/source/delay"
	"github.com/dalamb/dalamb/internal/wire"
)

// functions shows the catalog to fleet.
type functions struct{ *catalog.Catalog }

func (f functions) Version(fn, alias string, ticket uint64) (*function.Version, error) {
	return f.View().Version(fn, alias, ticket)
}

func (f functions) VersionNumber(fn string, n int) (*function.Version, error) {
	return f.View().VersionNumber(fn, n)
}

func (f functions) Wanted() ([]*function.Version, <-chan struct{}) {
	changed := f.Changed() // before the view, so that no change falls between
	return f.View().Wanted(), changed
}

func (f functions) Prepared() []fleet.Prepared {
	var all []fleet.Prepared
	view := f.View()
	for _, p := range view.Prepared() {
		all = append(all, fleet.Prepared{Version: p.Version, Like: p.Like})
	}
	return append(all, provisioned(view)...)
}

// provisioned are the versions of which AWS's API has instances kept.
func provisioned(view *catalog.View) []fleet.Prepared {
	var all []fleet.Prepared
	for _, f := range view.Functions() {
		if len(f.Notes) == 0 {
			continue
		}
		for number, n := range aws.Provisioned(f) {
			if v, err := view.VersionNumber(f.Name, number); err == nil {
				all = append(all, fleet.Prepared{Version: v, Instances: n})
			}
		}
	}
	return all
}

// warm is how many instances of a version are ready, and why there are no more.
func (f instances) warm(fn string, version int) (ready int, trouble string) {
	for _, i := range f.Fleet.Instances() {
		if i.Function == fn && i.Version == version && i.State != fleet.Starting && i.State != fleet.Stopping {
			ready++
		}
	}
	for _, t := range f.Fleet.Troubles() {
		if t.Function == fn && (t.Version == version || t.Version == 0) {
			trouble = t.Reason
		}
	}
	return ready, trouble
}

func (f functions) Stored(digest string) *function.Stored { return f.View().Stored(digest) }

// instances shows fleet to the API.
type instances struct{ *fleet.Fleet }

func (f instances) Instances() []wire.Instance {
	var list []wire.Instance
	for _, i := range f.Fleet.Instances() {
		list = append(list, wire.Instance{
			ID: i.ID, Function: i.Function, Version: i.Version, State: string(i.State), Started: i.Started, Runs: i.Runs, MemoryKB: i.MemoryKB, CPUMs: i.CPU.Milliseconds(), Outdated: i.Outdated,
		})
	}
	return list
}

func (f instances) Start(ctx context.Context, v *function.Version) error {
	if v.Spec.Entry.Once() {
		return nil // it starts with its call
	}
	return f.Fleet.Ready(ctx, v)
}

func (f instances) Replaced() []wire.Replacement {
	var list []wire.Replacement
	for _, r := range f.Fleet.Replaced() {
		list = append(list, wire.Replacement{
			Instance: r.Instance, Function: r.Function, Version: r.Version, Cause: string(r.Cause), Reason: r.Reason, Times: r.Times, At: r.At,
		})
	}
	return list
}

func (f instances) Troubles() []wire.Trouble {
	var list []wire.Trouble
	for _, t := range f.Fleet.Troubles() {
		w := wire.Trouble{Function: t.Function, Version: t.Version, Kind: string(t.Kind), Reason: t.Reason, Since: t.Since, Times: t.Times}
		if !t.Next.IsZero() {
			w.Next = &t.Next
		}
		list = append(list, w)
	}
	return list
}

// dispatcher shows dispatch to the API.
type dispatcher struct{ *dispatch.Dispatcher }

func (d dispatcher) Redrive(ctx context.Context, r api.Redrive) (string, error) {
	return d.Dispatcher.Redrive(ctx, dispatch.RedriveRequest{
		IDs: r.IDs, Function: r.Function, Trigger: r.Trigger, Pattern: r.Pattern, Before: r.Before, After: r.After, Rate: r.Rate,
		Error: r.Error, Version: r.Version,
	})
}

func (d dispatcher) RedriveState(ctx context.Context, job string) (wire.RedriveState, error) {
	s, err := d.Dispatcher.RedriveState(ctx, job)
	return wire.RedriveState{Job: job, Sent: s.Sent, Finished: s.Finished}, err
}

func (d dispatcher) Discard(ctx context.Context, ids []string, reason string) error {
	_, err := d.Dispatcher.Discard(ctx, ids, reason)
	return err
}

func (d dispatcher) Lag(ctx context.Context, fn string) (map[api.TriggerRef]api.Lag, error) {
	lags := map[api.TriggerRef]api.Lag{}
	all, err := d.LagOverall(ctx, fn)
	for _, l := range all {
		lags[api.TriggerRef{Function: l.Function, Trigger: l.Trigger}] = api.Lag{Events: l.Behind, Partial: l.Partial}
	}
	return lags, err
}

// lags are how far the trigger of each function is behind that is furthest behind, for alerts. The dispatcher runs.
func (n *Node) lags(ctx context.Context) (map[string]alert.Lag, error) {
	all, err := n.dispatcher.LagOverall(ctx, "")
	most := map[string]alert.Lag{}
	for _, l := range all {
		was := most[l.Function]
		most[l.Function] = alert.Lag{Events: max(was.Events, l.Behind), Partial: was.Partial || l.Partial}
	}
	return most, err
}

// delayed shows the delayed events to the API.
type delayed struct{ *delay.Delay }

func (d delayed) List(ctx context.Context, most int, wanted func(topic string) bool) ([]wire.Delayed, int, error) {
	waiting, total, err := d.Delay.List(ctx, most, wanted)
	list := make([]wire.Delayed, 0, len(waiting))
	for _, w := range waiting {
		text, err := w.Event.MarshalJSON()
		if err != nil {
			return nil, 0, fmt.Errorf("encode event %s: %w", w.Event.ID, err)
		}
		list = append(list, wire.Delayed{ID: w.ID, Due: w.Due, Topic: w.Topic, Accepted: w.Accepted, Event: text})
	}
	return list, total, err
}

// caller makes the API's calls on the gateway's way, so that they are recorded as any other.
type caller struct{ *gateway.Caller }

// checker makes the calls of a roll-out's check on the same way.
type checker struct{ caller }

func (c checker) Call(ctx context.Context, fn string, payload []byte) (*function.Result, error) {
	return c.caller.Call(ctx, api.Call{Function: fn, Payload: payload})
}

func (c caller) Call(ctx context.Context, call api.Call) (*function.Result, error) {
	path := "/2015-03-31/functions/" + url.PathEscape(call.Function) + "/invocations"
	a, err := c.Do(ctx, gateway.Call{
		ID: call.ID, Function: call.Function, Alias: call.Alias, Version: call.Version, Key: call.Key, Payload: call.Payload, ClientContext: call.ClientContext,
		Request: &http.Request{Method: http.MethodPost, URL: &url.URL{Path: path}, Header: http.Header{}, Body: http.NoBody},
		Body:    call.Payload, Responder: call.Responder, Tail: call.Tail,
	})
	return a.Result, err
}

// Info is where the node listens.
func (n *Node) Info() NodeInfo {
	i := NodeInfo{Control: n.url(n.controlListener), Gateway: n.url(n.gatewayListener), PID: os.Getpid()}
	i.Name = n.name(i.Control)
	if n.dns != nil {
		i.DNS = n.dns.Address()
	}
	if n.redirectListener != nil {
		i.Redirect = "http://" + reachable(n.redirectListener)
	}
	return i
}

// Fence says in a few words what holds the functions of this node.
func (n *Node) Fence() string {
	if !n.ability.Isolated {
		return n.runner.Name() + " (FUNCTIONS ARE NOT ISOLATED)"
	}
	return fmt.Sprintf("%s (isolated; limits: %s)", n.runner.Name(), strings.Join(n.ability.Limits, ", "))
}

// describeRunner says what the runner of a name fences here, "" = the node's own.
func (n *Node) describeRunner(ctx context.Context, name string) (wire.Runner, error) {
	a := n.ability
	if name == "" || name == n.runner.Name() {
		name = n.runner.Name()
	} else {
		var err error
		if a, err = n.runner.Ability(ctx, name); err != nil {
			return wire.Runner{}, err
		}
	}
	return wire.Runner{Name: name, Isolated: a.Isolated, Images: a.Images, Egress: a.Egress, Limits: a.Limits, Lacks: a.Lacks(), Notes: a.Notes}, nil
}

func (n *Node) describe(ctx context.Context) wire.Node {
	own, _ := n.describeRunner(ctx, "") // its own cannot fail: it was checked at the start
	return wire.Node{
		Version: n.version, Started: n.started, Gateway: n.gatewayListener.Addr().String(), Control: n.controlListener.Addr().String(), Data: n.config.Data,
		Runner: own, ID: n.id(), Partitions: n.dispatcher.Owned(),
	}
}

// id is who the node is to a log that it shares; "" = it shares none.
func (n *Node) id() string {
	id, err := os.ReadFile(filepath.Join(n.config.Data, nodeIDFile))
	if err != nil {
		return "" // the embedded log asks for none
	}
	return strings.TrimSpace(string(id))
}
