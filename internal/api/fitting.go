package api

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/match"
)

// fitting says whether a record is one that is searched for.
type fitting func(*eventlog.Record) bool

// fittingOf is what a search's key and filter want; nil = everything.
func fittingOf(q query) (fitting, error) {
	text, key := []byte(q.text("filter")), q.text("key")
	pattern, err := parsePattern("query parameter \"filter\"", text)
	if err != nil || pattern == nil && key == "" {
		return nil, err
	}
	may := mayBe(text)
	return func(r *eventlog.Record) bool {
		if key != "" && keyAt(r) != key {
			return false
		}
		if pattern == nil {
			return true
		}
		if !may(r) {
			return false
		}
		e := eventlog.EventOf(r)
		return e != nil && pattern.MatchEvent(e)
	}, nil
}

// typesKnown bounds how many types of events one search remembers its verdict of.
const typesKnown = 1000

// mayBe leaves out records whose type alone says that a pattern does not match them: their event need not be made. The type is what the header ce_type has
// (CloudEvents' Kafka binding, binary mode), and a pattern's fields are all to match.
func mayBe(pattern []byte) fitting {
	always := func(*eventlog.Record) bool { return true }
	var fields map[string]json.RawMessage
	if json.Unmarshal(pattern, &fields) != nil || fields["type"] == nil {
		return always
	}
	only, err := json.Marshal(map[string]json.RawMessage{"type": fields["type"]})
	if err != nil {
		return always
	}
	types, err := match.Parse(only)
	if err != nil || types.MatchEvent(&event.Event{Type: event.TypeRecord}) { // a record that is no event becomes one of that type, whatever its headers say
		return always
	}
	known := map[string]bool{}
	return func(r *eventlog.Record) bool {
		typ, binary := typeIn(r)
		if !binary {
			return true
		}
		fits, seen := known[string(typ)]
		if !seen {
			fits = types.MatchEvent(&event.Event{Type: string(typ)})
			if len(known) < typesKnown {
				known[string(typ)] = fits
			}
		}
		return fits
	}
}

// typeIn is the type in a record's headers; ok is false where it has none, or the event stands in the value.
func typeIn(r *eventlog.Record) (typ []byte, ok bool) {
	structured := []byte("application/cloudevents")
	for i := range r.Headers {
		switch h := &r.Headers[i]; {
		case h.Name == "ce_type":
			typ, ok = h.Value, true
		case strings.EqualFold(h.Name, "content-type") && len(h.Value) >= len(structured) && bytes.EqualFold(h.Value[:len(structured)], structured):
			return nil, false
		}
	}
	return typ, ok
}
