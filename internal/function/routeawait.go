package function

import (
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/match"
)

// Await says which event answers a request: the first one in a topic that follows from it and that the pattern wants.
type Await struct {
	Topic   string          `json:"topic"`
	Pattern json.RawMessage `json:"pattern"`
	Timeout Duration        `json:"timeout"` // then the client is told where to ask
}

const maxAwait = Duration(15 * time.Minute)

func awaitValue() value[Await] {
	return object([]string{"pattern"},
		field("topic", "Where the event comes. Default: events.", text[string](), func(a *Await) *string { return &a.Topic }),
		field("pattern", "Which of the events that follow from the request answers it, as an EventBridge event pattern; see docs/patterns.md.", pattern(), func(a *Await) *json.RawMessage { return &a.Pattern }),
		field("timeout", "How long a client waits before it is answered 202 with the address of the run. Default: 30s.", duration(), func(a *Await) *Duration { return &a.Timeout }),
	)
}

func defaultAwait() Await { return Await{Topic: TopicEvents, Timeout: Duration(30 * time.Second)} }

func (c *checker) await(at string, t *Trigger) {
	a, r := t.Route.Await, t.Route
	if a == nil {
		return
	}
	switch {
	case !isTopic(a.Topic):
		c.add(at+".topic", topicHint, "%q is no name for a topic", clip(a.Topic))
	case a.Topic[0] == '_':
		c.add(at+".topic", "name a topic of events", "no event of the system topic %q answers a request", clip(a.Topic))
	}
	between(c.at(at+".timeout"), a.Timeout, Duration(time.Millisecond), maxAwait)
	if a.Pattern == nil {
		c.add(at+".pattern", "such as {type: [order.confirmed]}", "is required")
	} else if _, err := match.Parse(a.Pattern); err != nil {
		c.filter(at+".pattern", err)
	}
	if t.Emit == nil && r.Redirect == nil && r.Static == nil && r.Scatter == nil {
		c.add(at, "emit: {topic: "+TopicEvents+"} on the trigger", "waits for what follows from the events that the function returns, and the trigger does not say where they are emitted")
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"redirect", r.Redirect != nil}, {"static", r.Static != nil}, {"async", r.Async != ""}, {"durable", r.Durable}, {"scatter", r.Scatter != nil}, {"cache", r.Cache != nil}, {"timeout", r.Timeout != nil},
		{"retry", r.Retry != nil}, {"hedge", r.Hedge != nil}, {"breaker", r.Breaker != nil}, {"fallback", r.Fallback != nil},
	} {
		if f.given {
			c.add(at, "remove one of both", "an event answers, and %s is for an answer at once", f.name)
		}
	}
}

// place returns an Await whose topic has another name.
func (a *Await) place(heard func(topic string) string) *Await {
	if a == nil {
		return nil
	}
	c := *a
	c.Topic = heard(c.Topic)
	return &c
}
