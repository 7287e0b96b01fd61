package function

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// TopicRules is what dalamb, beside the log, holds a topic to. Zero values are no rule.
type TopicRules struct {
	Writers  []string `json:"writers,omitempty"`         // "function/NAME" and "token/NAME"; none = everybody
	Dedupe   Duration `json:"dedupe,omitzero"`           // ingest: the same source and id within so long is one event
	MaxEvent Bytes    `json:"maxEvent,omitzero"`         // of one event
	Events   float64  `json:"eventsPerSecond,omitempty"` // ingest, of each token on each node
	Bytes    Bytes    `json:"bytesPerSecond,omitzero"`   // ingest, of each token on each node
	Seal     bool     `json:"seal,omitempty"`            // payloads are stored sealed, by a key of the event's key; once so, for ever
}

// None says that there is no rule.
func (r TopicRules) None() bool {
	return len(r.Writers) == 0 && r.Dedupe == 0 && r.MaxEvent == 0 && r.Events == 0 && r.Bytes == 0 && !r.Seal
}

// Topics lists the topics that a function names, those that its outcomes go to among them, sorted, each once.
func (s *Spec) Topics() []string {
	var names []string
	add := func(name string) {
		if name != "" {
			names = append(names, name)
		}
	}
	destinations := func(list ...*Destination) {
		for _, d := range list {
			if d != nil {
				add(d.Topic)
			}
		}
	}
	if s.Async != nil {
		destinations(s.Async.OnSuccess, s.Async.OnFailure)
	}
	for _, t := range s.Triggers {
		add(t.Topic)
		destinations(t.OnSuccess, t.OnFailure)
		if t.Emit != nil {
			add(t.Emit.Topic)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Heard lists the topics whose events get into a function, or wake something of it, sorted, each once.
func (s *Spec) Heard() []string {
	var names []string
	for _, t := range s.Triggers {
		if t.Topic != "" {
			names = append(names, t.Topic)
		}
		if t.Route == nil {
			continue
		}
		if w := t.Route.Await; w != nil {
			names = append(names, w.Topic)
		}
		if c := t.Route.Cache; c != nil {
			for _, p := range c.Purge {
				names = append(names, p.Topic)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// NodeToken is the name under which the node's own token is a writer.
const NodeToken = "node"

// FunctionWriter is a function as a writer.
func FunctionWriter(name string) string { return "function/" + name }

// TokenWriter is a token as a writer.
func TokenWriter(name string) string { return "token/" + name }

// MayWrite says, by an error of kind Denied, when a writer may not write to the topic.
func (r TopicRules) MayWrite(topic, writer string) error {
	if len(r.Writers) == 0 || slices.Contains(r.Writers, writer) {
		return nil
	}
	return fault.New(fault.Denied, "topic %q is written by %s alone, and not by %s", topic, strings.Join(r.Writers, ", "), writer).
		WithHint("dalamb topic alter %s --writers says who writes to it", topic)
}

// Fits says, by an error of kind TooLarge, when an event is larger than the topic takes.
func (r TopicRules) Fits(topic string, size int64) error {
	if r.MaxEvent == 0 || size <= int64(r.MaxEvent) {
		return nil
	}
	return fault.New(fault.TooLarge, "the event has %d bytes, and topic %q takes %s", size, topic, r.MaxEvent)
}

// Addressed says, by an error of kind Invalid, when an event of a key cannot be taken because it could never be forgotten.
func (r TopicRules) Addressed(topic, key string) error {
	if !r.Seal || key != "" {
		return nil
	}
	return fault.New(fault.Invalid, "topic %q is sealed by the keys of its events, and the event has none", topic).
		WithHint("give it a partitionkey or a subject: whose event it is, such as the customer's number")
}

const (
	maxWriters = 100
	maxDedupe  = Duration(7 * 24 * time.Hour)
)

// Check says what is wrong with rules.
func (r TopicRules) Check() error {
	if len(r.Writers) > maxWriters {
		return fault.New(fault.Invalid, "writers: %d are too many", len(r.Writers)).WithHint("at most %d", maxWriters)
	}
	for _, w := range r.Writers {
		kind, name, _ := strings.Cut(w, "/")
		if kind != "function" && kind != "token" || kind == "token" && Environment(name) != "" || !ValidFull(name) {
			return fault.New(fault.Invalid, "writers: %q is no writer", clip(w)).WithHint("a writer is function/NAME or token/NAME; the node's own token is %s", TokenWriter(NodeToken))
		}
	}
	switch {
	case r.Dedupe < 0 || r.Dedupe > maxDedupe || r.Dedupe != 0 && r.Dedupe < Duration(time.Second):
		return fault.New(fault.Invalid, "dedupe: %s is out of range", r.Dedupe).WithHint("from 1s to 7d, or 0s for none")
	case r.MaxEvent < 0 || r.MaxEvent != 0 && r.MaxEvent < 256:
		return fault.New(fault.Invalid, "maxEvent: %s is less than an event has", r.MaxEvent).WithHint("at least 256 bytes, or 0 for no bound but the node's")
	case !(r.Events >= 0 && r.Events <= 1e9) || math.IsNaN(r.Events):
		return fault.New(fault.Invalid, "eventsPerSecond: %v is out of range", r.Events)
	case r.Bytes < 0:
		return fault.New(fault.Invalid, "bytesPerSecond: %v is out of range", fmt.Sprint(int64(r.Bytes)))
	}
	return nil
}

// Change puts these rules in the place of all others.
func (r TopicRules) Change() *TopicRulesChange {
	if r.Writers == nil {
		r.Writers = []string{}
	}
	return &TopicRulesChange{&r.Writers, &r.Dedupe, &r.MaxEvent, &r.Events, &r.Bytes, &r.Seal}
}

// TopicRulesChange changes rules; what is nil stays.
type TopicRulesChange struct {
	Writers  *[]string `json:"writers,omitempty"` // empty = everybody
	Dedupe   *Duration `json:"dedupe,omitempty"`
	MaxEvent *Bytes    `json:"maxEvent,omitempty"`
	Events   *float64  `json:"eventsPerSecond,omitempty"`
	Bytes    *Bytes    `json:"bytesPerSecond,omitempty"`
	Seal     *bool     `json:"seal,omitempty"` // only ever true where it was
}

// Apply returns the rules as they are after the change.
func (c *TopicRulesChange) Apply(r TopicRules) TopicRules {
	if c == nil {
		return r
	}
	set(&r.Writers, c.Writers)
	set(&r.Dedupe, c.Dedupe)
	set(&r.MaxEvent, c.MaxEvent)
	set(&r.Events, c.Events)
	set(&r.Bytes, c.Bytes)
	set(&r.Seal, c.Seal)
	return r
}

func set[T any](into, from *T) {
	if from != nil {
		*into = *from
	}
}

// ValidTokenName says whether a token can have this name.
func ValidTokenName(name string) bool {
	return name != NodeToken && len(name) <= 63 && validName.MatchString(name)
}
