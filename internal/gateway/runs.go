package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/await"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// runsPrefix is where the runs of requests are that are answered later.
const runsPrefix = "/_/runs/"

// Runs knows what came of requests that are answered later, also on other nodes.
type Runs interface {
	// RunAt is the newest run of an event; nil = nothing has come of it yet.
	RunAt(at function.EventRef) (*function.Run, error)
	// RunOf is the newest run of an event in a topic, wherever it stands there; nil = nothing is known.
	RunOf(topic, eventID string) (*function.Run, error)
	// Cancelled says whether it was asked that the event be not run.
	Cancelled(eventID string) (bool, error)
	// Watch puts a token into changed when there is something new of an event's runs, until stop is called.
	Watch(eventID string) (changed <-chan struct{}, stop func())
}

// noRuns is where nothing comes of anything.
type noRuns struct{}

func (noRuns) RunAt(function.EventRef) (*function.Run, error) { return nil, nil }

func (noRuns) RunOf(string, string) (*function.Run, error) { return nil, nil }

func (noRuns) Cancelled(string) (bool, error) { return false, nil }

func (noRuns) Watch(string) (<-chan struct{}, func()) { return nil, func() {} }

// runName is what a client calls a run: the id of the event, of which 74 bits are random, and where that stands in the log, so that every node finds
// it without an index.
type runName struct {
	id        string
	partition int32
	offset    int64
}

func (n runName) String() string {
	at := n.ref()
	return at.Address()
}

var validRunName = regexp.MustCompile(`^([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,17})$`)

func parseRunName(text string) (n runName, ok bool) {
	m := validRunName.FindStringSubmatch(text)
	if m == nil {
		return n, false
	}
	partition, _ := strconv.ParseInt(m[2], 10, 32) // the expression allows no number that is too large
	offset, _ := strconv.ParseInt(m[3], 10, 64)
	return runName{m[1], int32(partition), offset}, true
}

func (n runName) ref() function.EventRef {
	return function.EventRef{Topic: function.TopicInvoke, Partition: n.partition, Offset: n.offset, ID: n.id}
}

// lateRun is a request that is answered later.
type lateRun struct {
	name     runName
	request  *function.InvokeRequest
	accepted time.Time
	want     *await.Want // the event that is its answer; nil = the function's is
}

// findRun reads the request of a run from the log.
func (g *Gateway) findRun(ctx context.Context, text string) (*lateRun, error) {
	name, ok := parseRunName(text)
	if !ok {
		return nil, noRun(text)
	}
	rs, err := g.log.Read(ctx, eventlog.Partition{Topic: function.TopicInvoke, ID: name.partition}, name.offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if fault.KindOf(err) == fault.NotFound {
		return nil, noRun(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read the request of run %s: %w", text, err)
	}
	if len(rs) == 0 || rs[0].Offset != name.offset {
		return nil, noRun(text)
	}
	e, err := eventlog.ToEvent(rs[0])
	if err != nil || e.ID != name.id || e.Type != event.TypeInvokeRequested {
		return nil, noRun(text)
	}
	r := new(function.InvokeRequest)
	if err := json.Unmarshal(e.Data, r); err != nil {
		return nil, fmt.Errorf("read the request of run %s: %w", text, err)
	}
	if r.Request == nil { // a call by the control API, whose caller has no business here
		return nil, noRun(text)
	}
	run := &lateRun{name: name, request: r, accepted: e.Time}
	return run, run.readWant()
}

func noRun(text string) error {
	return fault.New(fault.NotFound, "there is no run %q", fault.Clip(text)).WithHint("an address of a run holds for as long as the log keeps the request, and for who has sent it")
}

// serveRun is /_/runs/ID[/answer]: what became of a request that is answered later. Who asks has to be who sent it, as the route's auth finds out.
func (g *Gateway) serveRun(x *exchange, r *http.Request) {
	text, part, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, runsPrefix), "/")
	run, err := g.findRun(r.Context(), text)
	if err != nil {
		g.fail(x, err)
		return
	}
	guard, ok := g.routesNow().guards[routeKey{run.request.Function, run.request.Request.Route}]
	if !ok || part != "" && part != "answer" {
		g.fail(x, noRun(text))
		return
	}
	c := &Call{Function: run.request.Function, Trigger: guard.trigger, Request: r}
	x.asker.makes(c)
	err = chain(guard.stages, func(x *exchange, c *Call) error {
		if !sameIdentity(c.Identity, run.request.Request.Identity) {
			return noRun(text)
		}
		return g.askRun(x, c.Request, run, part == "answer")
	})(x, c)
	if err != nil {
		g.fail(x, err)
	}
}

func sameIdentity(a, b *function.Identity) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// askRun answers who may ask.
func (g *Gateway) askRun(x *exchange, r *http.Request, run *lateRun, answer bool) error {
	switch {
	case r.Method == http.MethodDelete && !answer:
		return g.cancelRun(x, r, run)
	case r.Method == http.MethodDelete, r.Method != http.MethodGet && r.Method != http.MethodHead:
		allowed := "GET, HEAD, DELETE"
		if answer {
			allowed = "GET, HEAD"
		}
		g.methodNotAllowed(x, r, allowed)
		return nil
	}
	wait, err := waitOf(r)
	if err != nil {
		return err
	}
	if !answer && strings.Contains(r.Header.Get("Accept"), "text/event-stream") && r.Method == http.MethodGet {
		return g.followRun(x, r, run)
	}
	story, err := g.settled(r.Context(), run, wait)
	if err != nil {
		return err
	}
	if answer && story != nil && over(story) {
		return g.answerRun(x, r, run, story)
	}
	status := http.StatusOK
	if answer {
		status = http.StatusAccepted
	}
	g.showRun(x, status, run, story)
	return nil
}

// waitOf is how long a client wants to wait: by ?wait=30s, or by Prefer.
func waitOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return preferencesOf(r.Header).wait, nil
	}
	var d function.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil {
		return 0, fault.New(fault.Invalid, "query parameter \"wait\": %w", err).WithHint("such as wait=30s; at most %s", maxWait)
	}
	return min(d.Std(), maxWait), nil
}

// cancelPatience is how long a client that cancels waits to be told what came of it.
const cancelPatience = 3 * time.Second

// cancelRun asks that a request be not run. One that waits never runs; one that runs is killed where it is alone in its instance; and what comes of
// it does not count.
func (g *Gateway) cancelRun(x *exchange, r *http.Request, run *lateRun) error {
	story, err := g.runs.RunAt(run.name.ref())
	if err != nil {
		return err
	}
	if story != nil && over(story) {
		return fault.New(fault.Conflict, "the run is over: it %s", standing(story, false)).WithHint("GET tells what came of it")
	}
	asked, err := g.runs.Cancelled(run.name.id)
	if err != nil {
		return err
	}
	if !asked {
		e := &event.Event{
			ID: event.NewID(), Source: "/dalamb/gateway", Type: event.TypeRunCancelled, Subject: run.name.id, Time: g.now(),
			Extensions: map[string]any{event.ExtCausationID: run.name.id},
		}
		if _, err := g.log.Append(r.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicRuns, e)}); err != nil {
			return fmt.Errorf("append the end of run %s: %w", run.name, err)
		}
	}
	if story, err = g.settled(r.Context(), run, cancelPatience); err != nil {
		return err
	}
	status := http.StatusAccepted
	if story != nil && over(story) {
		status = http.StatusOK
	}
	g.showRun(x, status, run, story)
	return nil
}
