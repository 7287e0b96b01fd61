package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/await"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// Awaits knows what follows from requests.
type Awaits interface {
	// Expect begins to wait; see await.
	Expect(ctx context.Context, want await.Want) (*await.Wait, error)
	// Find looks for what came already.
	Find(ctx context.Context, want await.Want) (await.Found, error)
}

// noAwaits is where nothing follows from anything.
type noAwaits struct{}

func (noAwaits) Expect(context.Context, await.Want) (*await.Wait, error) {
	return nil, fault.New(fault.Unavailable, "this node does not follow what comes of requests")
}

func (noAwaits) Find(context.Context, await.Want) (await.Found, error) { return await.Found{}, nil }

// awaiting takes requests that an event answers: each becomes an event of function.TopicInvoke, as those that are answered later do, and its client
// waits for what follows from it.
type awaiting struct {
	g    *Gateway
	rule *function.Await
}

func newAwaiting(g *Gateway, t *catalog.Trigger) *awaiting { return &awaiting{g, t.Route.Await} }

// How the wait for an event ended.
const (
	awaitEvent  = "event"
	awaitAnswer = "function"
	awaitFailed = "failed"
	awaitLater  = "later"
)

func (a *awaiting) policy(x *exchange, c *Call, _ handler) error {
	g, want := a.g, preferencesOf(c.Request.Header)
	patience := a.rule.Timeout.Std()
	if want.async || want.wait > 0 {
		patience = min(patience, want.wait)
	}
	free, err := g.gather(x, c)
	defer free()
	if err != nil {
		return err
	}
	if !g.waiters.enter() {
		return fault.New(fault.Exhausted, "the node has as many who wait for an answer as it may").WithHint("nothing has been done; send it again in a moment")
	}
	defer g.waiters.leave()
	id := lateID(c)
	wants, err := wantOf(id, a.rule)
	if err != nil {
		return err
	}
	w, err := g.awaits.Expect(c.Request.Context(), wants) // first: what follows from the request may come before the log has said that it has it
	if err != nil {
		return a.closed(c, err)
	}
	defer w.Stop()
	run, err := g.accept(c, id)
	if err != nil {
		return err
	}
	if err := c.keyed.accepted(run); err != nil {
		return err
	}
	if said := want.applied(); said != "" {
		x.Header().Set("Preference-Applied", said)
	}
	x.Header().Set("Location", runsPrefix+run.name.String())
	story, err := g.untilOver(c.Request.Context(), run, stay{w, patience})
	if err != nil { // it is accepted; the client can ask
		g.logger.Warn("look for what followed from a request", "function", c.Function, "event", id, "err", err)
	}
	g.metrics.awaits.WithLabelValues(endOf(story)).Inc()
	if story != nil && over(story) {
		return g.answerRun(x, c.Request, run, story)
	}
	g.showRun(x, http.StatusAccepted, run, story)
	return nil
}

// closed is what a client is told where nobody can wait. Which topic that is about is for the one who runs the node.
func (a *awaiting) closed(c *Call, err error) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	a.g.logger.Warn("route closed: the topic is not there that its answers come in", "function", c.Function, "trigger", c.Trigger.Name, "topic", a.rule.Topic)
	return fault.New(fault.Unavailable, "the route cannot answer now").WithHint("the node's log says why")
}

func endOf(story *function.Run) string {
	switch {
	case story == nil || !over(story):
		return awaitLater
	case story.State != function.RunSucceeded:
		return awaitFailed
	case story.Reason == reasonEvent:
		return awaitEvent
	}
	return awaitAnswer
}

// wantOf is what the answer to a request will be.
func wantOf(id string, rule *function.Await) (await.Want, error) {
	p, err := match.Parse(rule.Pattern)
	if err != nil { // the manifest was checked
		return await.Want{}, fmt.Errorf("read the pattern of an answer: %w", err)
	}
	return await.Want{ID: id, Topic: rule.Topic, Pattern: p}, nil
}

// Reasons of a run whose answer is an event, as its client sees it.
const (
	reasonEvent = "an event answers it"
	reasonDead  = "a dead letter follows from it"

	runFollows function.RunState = "waiting" // the function has run; the event did not come yet
)

// storyOf is how a run stands for its client; nil = nothing has come of it. w is who waits for it; nil = nobody.
func (g *Gateway) storyOf(ctx context.Context, run *lateRun, w *await.Wait) (*function.Run, error) {
	story, err := g.runs.RunAt(run.name.ref())
	if err != nil || run.want == nil {
		return story, err
	}
	ran := story != nil && over(story)
	follows := ran && story.State == function.RunSucceeded && len(story.Emitted) > 0
	if ran && !follows {
		return story, nil // no event can follow: what the function says is the answer
	}
	var found await.Found
	switch {
	case w != nil:
		found, err = w.Look(ctx)
	case follows:
		found, err = g.awaits.Find(ctx, *run.want)
	}
	if err != nil && ctx.Err() != nil { // who asks waits no longer
		found, err = await.Found{}, nil
	}
	if err != nil || found.Event == nil && !follows {
		return story, err
	}
	return sequel(run, story, found), nil
}

// sequel is a run with what followed from it in the place of what the function has said. story is nil where the event is known earlier than the run.
func sequel(run *lateRun, story *function.Run, found await.Found) *function.Run {
	told := function.Run{Event: run.name.ref()}
	if story != nil {
		told = *story
	}
	told.Answer, told.Finished = nil, time.Time{}
	switch {
	case found.Event != nil:
		told.State, told.Reason, told.Answer, told.Finished = function.RunSucceeded, reasonEvent, answerOf(found.Event), found.Event.Time
	case found.Dead:
		told.State, told.Reason = function.RunDead, reasonDead
	default:
		told.State = runFollows
	}
	return &told
}

// answerOf is an event as an answer: its data, and its attributes in the header but for those that tell of the functions behind it.
func answerOf(e *event.Event) *function.Answer {
	h := http.Header{}
	body := e.ToHTTPBinary(h)
	for _, name := range []string{event.ExtChain, event.ExtHops, event.ExtReplay, event.ExtOriginID, event.ExtTraceParent, event.ExtAuthType, event.ExtAuthID} {
		h.Del("Ce-" + name)
	}
	return &function.Answer{Status: http.StatusOK, Header: h, Body: body, Size: int64(len(body))}
}

// readWant sets what answers a request that was read from the log.
func (r *lateRun) readWant() error {
	rule := r.request.Request.Await
	if rule == nil {
		return nil
	}
	want, err := wantOf(r.name.id, rule)
	want.Since = r.accepted
	r.want = &want
	return err
}

// errSequel is what a client is told when the event cannot come because of a dead letter.
func errSequel(run *lateRun) error {
	return fault.New(fault.Unavailable, "what follows from the request has failed").
		WithHint("%s%s tells when it has been tried again and has come to its end", runsPrefix, run.name)
}
