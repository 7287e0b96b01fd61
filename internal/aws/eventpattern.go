package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// maxEventPattern is in bytes. Amazon EventBridge API reference, EventPattern.
const maxEventPattern = 4096

// parsePattern checks a pattern over an event as EventBridge gives it.
func parsePattern(text string) (*match.Pattern, error) {
	if len(text) > maxEventPattern {
		return nil, badPattern("it has more than %d bytes", maxEventPattern)
	}
	p, err := match.Parse([]byte(text))
	if wrong, ok := errors.AsType[*match.PatternError](err); ok {
		return nil, badPattern("%w", wrong)
	}
	if err != nil {
		return nil, err
	}
	if bytes.Equal(bytes.Join(bytes.Fields([]byte(text)), nil), []byte("{}")) {
		return nil, badPattern("Empty event pattern is not allowed")
	}
	return p, nil
}

func (b *EventBridge) testPattern(c *eventsCall) (any, error) {
	var req struct{ EventPattern, Event string }
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	p, err := parsePattern(req.EventPattern)
	if err != nil {
		return nil, err
	}
	if _, err := b.filterOf(req.EventPattern); err != nil {
		return nil, err // what no rule can have would say nothing of one
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(req.Event), &fields) != nil || fields == nil {
		return nil, badValue("Parameter Event is not valid. Reason: it is no JSON object.")
	}
	for _, name := range []string{"id", "detail-type", "source", "account", "time", "region", "resources"} {
		if fields[name] == nil {
			return nil, badValue("Parameter Event is not valid. Reason: %s is a required field.", name)
		}
	}
	matches, err := p.MatchJSON([]byte(req.Event))
	if err != nil {
		return nil, badValue("Parameter Event is not valid. Reason: %w", err)
	}
	return struct{ Result bool }{matches}, nil
}

// filterOf is the pattern that means of an event of dalamb's what another one means of the event as EventBridge gives it.
func (b *EventBridge) filterOf(text string) (json.RawMessage, error) {
	if _, err := parsePattern(text); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return nil, badPattern("%w", err)
	}
	out, err := b.translate(fields)
	if err != nil {
		return nil, err
	}
	filter, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the pattern: %w", err)
	}
	if _, err := match.Parse(filter); err != nil {
		return nil, badPattern("%w", err) // past a bound, once it is translated
	}
	return filter, nil
}

// translated is a pattern in dalamb's words: field -> what it has to be.
type translated map[string]any

func (b *EventBridge) translate(fields map[string]json.RawMessage) (translated, error) {
	out := translated{}
	var either, about []translated // of $or, and of resources
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		tests := fields[name]
		first, rest, _ := strings.Cut(name, ".")
		switch {
		case name == "$or":
			var err error
			if either, err = b.translateAny(tests); err != nil {
				return nil, err
			}
		case name == "source" || name == "id" || name == "time":
			out[name] = tests
		case name == "detail-type":
			out["type"] = tests
		case name == "detail":
			out["data"] = tests
		case first == "detail":
			out["data."+rest] = tests
		case name == "resources":
			var err error
			if about, err = translateResources(tests); err != nil {
				return nil, err
			}
		case name == "account" || name == "region" || name == "version":
			if err := b.holdsConstant(name, tests); err != nil {
				return nil, err
			}
		case name == "replay-name":
			return nil, badPattern("replay-name: rules do not see whether an event is replayed: StartReplay names the rules that a replay is for")
		default:
			return nil, badPattern("%s: events have no such field, the rule would match nothing", fault.Clip(name))
		}
	}
	if any := product(either, about); any != nil {
		out["$or"] = any
	}
	return out, nil
}

// translateAny does it with each alternative of $or; nil = one of them holds for every event, so all of it says nothing.
func (b *EventBridge) translateAny(raw json.RawMessage) ([]translated, error) {
	var list []map[string]json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) < 2 {
		return nil, badPattern("$or: it is not a list of two or more objects, and events have no such field")
	}
	var all []translated
	for _, fields := range list {
		one, err := b.translate(fields)
		if err != nil {
			return nil, err
		}
		if len(one) == 0 {
			return nil, nil
		}
		all = append(all, one)
	}
	return all, nil
}

// product is what holds where one of each of two lists does; an empty one says nothing.
func product(a, b []translated) []translated {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	var all []translated
	for _, one := range a {
		for _, other := range b {
			both := maps.Clone(one)
			maps.Copy(both, other) // which names the fields of resources: an alternative has those below a $or of its own, if at all
			all = append(all, both)
		}
	}
	return all
}

// holdsConstant refuses a pattern that no event here can match, for what is the same of all of them.
func (b *EventBridge) holdsConstant(name string, tests json.RawMessage) error {
	is := map[string]string{"account": function.AWSAccount, "region": b.l.o.Region, "version": "0"}[name]
	pattern, err := json.Marshal(map[string]json.RawMessage{name: tests})
	if err != nil {
		return fmt.Errorf("encode the pattern: %w", err)
	}
	p, err := match.Parse(pattern)
	if err != nil {
		return badPattern("%w", err)
	}
	object, err := json.Marshal(map[string]string{name: is})
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	if matches, err := p.MatchJSON(object); err != nil || !matches {
		return badPattern("%s: events here have %q, the rule would match nothing", name, is)
	}
	return nil
}
