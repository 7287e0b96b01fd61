package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of what functions say of who may call.
const (
	maxVerdicts = 10_000 // remembered for one route
	maxVerdict  = 16 << 10
	maxReason   = 200
)

// doorman has a function say who may call a route.
type doorman struct {
	g     *Gateway
	rule  *function.FunctionAuth
	whose string // the route's function
	route string
	said  *otter.Cache[[sha256.Size]byte, verdict] // nil = nothing is remembered
}

func newDoorman(g *Gateway, rule *function.FunctionAuth, whose, route string) *doorman {
	d := &doorman{g: g, rule: rule, whose: whose, route: route}
	if rule.TTL > 0 {
		d.said = otter.Must(&otter.Options[[sha256.Size]byte, verdict]{
			MaximumSize: maxVerdicts, ExpiryCalculator: otter.ExpiryWriting[[sha256.Size]byte, verdict](rule.TTL.Std()),
		})
	}
	return d
}

// question is what the function gets, as JSON.
type question struct {
	Function string              `json:"function"` // whose route it is
	Route    string              `json:"route"`
	Method   string              `json:"method"`
	Scheme   string              `json:"scheme"`
	Host     string              `json:"host"`
	Path     string              `json:"path"` // escaped
	Query    string              `json:"query,omitempty"`
	Remote   string              `json:"remote,omitempty"` // the client's address; "" where answers are remembered
	Headers  map[string][]string `json:"headers"`
}

// verdict is what the function says.
type verdict struct {
	Allow    bool   `json:"allow"`
	Identity string `json:"identity"` // "" = nobody in particular
	Type     string `json:"type"`     // authtype; "" = user
	Reason   string `json:"reason"`   // for who is not allowed

	until time.Time
}

// ask lets the request in, or says why not. What cannot be found out keeps it out.
func (d *doorman) ask(r *http.Request) (*function.Identity, error) {
	text, err := json.Marshal(d.question(r))
	if err != nil {
		return nil, fmt.Errorf("encode what a function is asked: %w", err)
	}
	versions := d.versions()
	key := sha256.Sum256(fmt.Appendf(text[:len(text):len(text)], "\x00%s", versions))
	v, ok := d.remembered(key)
	if !ok {
		if v, err = d.judged(r, text); err != nil {
			return nil, err
		}
		if d.said != nil && versions == d.versions() { // else one may have answered that the key does not name
			v.until = d.g.now().Add(d.rule.TTL.Std())
			d.said.Set(key, v)
		}
	}
	switch {
	case !v.Allow && v.Reason != "":
		return nil, fault.New(fault.Denied, "this route is not open to you: %s", v.Reason)
	case !v.Allow:
		return nil, fault.New(fault.Denied, "this route is not open to you")
	case v.Identity == "":
		return nil, nil
	}
	return &function.Identity{Type: v.Type, ID: v.Identity}, nil
}

// versions are those that may answer, so that nothing is remembered of another: not of a canary that was taken back, either.
func (d *doorman) versions() string { return answering(d.g.catalog.View(), d.rule.Name) }

func (d *doorman) remembered(key [sha256.Size]byte) (verdict, bool) {
	if d.said == nil {
		return verdict{}, false
	}
	v, ok := d.said.GetIfPresent(key)
	return v, ok && d.g.now().Before(v.until)
}

func (d *doorman) question(r *http.Request) question {
	h := r.Header.Clone() // the route's function gets what is left of the request itself
	d.g.dropOwn(h)
	tellIdentity(h, nil)
	q := question{
		Function: d.whose, Route: d.route, Method: r.Method, Scheme: r.URL.Scheme, Host: r.Host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Headers: h,
	}
	if d.said == nil {
		if q.Remote = r.RemoteAddr; q.Remote != "" {
			if host, _, err := net.SplitHostPort(q.Remote); err == nil {
				q.Remote = host
			}
		}
	}
	if d.rule.Headers != nil {
		q.Headers = map[string][]string{}
		for _, name := range d.rule.Headers {
			if values := h.Values(name); values != nil {
				q.Headers[http.CanonicalHeaderKey(name)] = values
			}
		}
	}
	return q
}

// errLate is for the node's log.
var errLate = errors.New("it did not answer in time")

// judged calls the function. It is called aside, because one that hangs must not hold the client: the call goes on to its own end then, for which
// the gateway waits when the node stops.
func (d *doorman) judged(r *http.Request, text []byte) (verdict, error) {
	id := event.NewID()
	ctx, cancel := context.WithTimeout(r.Context(), d.rule.Patience())
	defer cancel()
	type outcome struct {
		res *function.Result
		err error
	}
	done := make(chan outcome, 1)
	d.g.background.Go(func() {
		res, err := d.g.caller.fleet.Invoke(ctx, fleet.Call{Function: d.rule.Name, Invocation: &function.Invocation{
			ID: id, Run: id, Attempt: 1, TraceParent: traceParent(r.Header), Payload: text,
		}})
		done <- outcome{res, err}
	})
	var got outcome
	select {
	case got = <-done:
	case <-ctx.Done():
		got.err = errLate
	}
	if got.err != nil && r.Context().Err() != nil { // it is the client that has not waited
		got.err = context.Cause(r.Context())
	}
	if got.err != nil {
		return verdict{}, d.closed(got.err)
	}
	return d.read(got.res)
}

// read takes what the function said for a yes only where it is one beyond doubt.
func (d *doorman) read(res *function.Result) (verdict, error) {
	if res.Outcome == function.Failed && (res.Status == http.StatusUnauthorized || res.Status == http.StatusForbidden) {
		return verdict{}, nil // so an http function may say no
	}
	if res.Outcome != function.Succeeded {
		why := string(res.Outcome)
		if res.Failure != nil {
			why = res.Failure.Message
		}
		return verdict{}, d.closed(fmt.Errorf("it failed: %s", fault.Clip(why)))
	}
	var v verdict
	if len(res.Body) > maxVerdict {
		return v, d.closed(fmt.Errorf("its answer has %d bytes", len(res.Body)))
	}
	var said struct{ Allow *bool }
	if json.Unmarshal(res.Body, &said) != nil || said.Allow == nil || json.Unmarshal(res.Body, &v) != nil {
		return verdict{}, d.closed(fmt.Errorf(`its answer is not {"allow": true} or {"allow": false}: %s`, fault.Clip(string(res.Body))))
	}
	if v.Type == "" {
		v.Type = function.AuthUser
	}
	if !sayable(v.Identity) || !slices.Contains(identityTypes(), v.Type) {
		return verdict{}, d.closed(fmt.Errorf("it names the identity %q of type %q", fault.Clip(v.Identity), fault.Clip(v.Type)))
	}
	if len(v.Reason) > maxReason || !sayable(v.Reason) {
		v.Reason = ""
	}
	return v, nil
}

// identityTypes are those of CloudEvents' auth context that a function may name.
func identityTypes() []string {
	return []string{function.AuthUser, function.AuthAPIKey, function.AuthServiceAccount, "app_user", "unauthenticated", "unknown"}
}

func (d *doorman) closed(cause error) error {
	return closed(d.whose, fmt.Errorf("ask function %s: %w", d.rule.Name, cause))
}
