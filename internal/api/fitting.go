package api

import (
	"encoding/json"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/match"
)

// fitting says whether a record is one that is searched for.
type fitting func(*eventlog.Record) bool

// fittingOf is what a search's key and filter want, nil = everything, and what of that the log can rule records out by.
func fittingOf(q query) (fitting, eventlog.Wanted, error) {
	pattern, err := parsePattern("query parameter \"filter\"", []byte(q.text("filter")))
	if err != nil {
		return nil, eventlog.Wanted{}, err
	}
	w := wantedOf(q)
	if pattern == nil && w.Any() {
		return nil, w, nil
	}
	return func(r *eventlog.Record) bool {
		if w.Key != nil && string(r.Key) != string(w.Key) {
			return false
		}
		if pattern == nil {
			return true
		}
		if w.Type != nil {
			if typ, known := eventlog.TypeIn(r); known && !w.Type(typ) {
				return false // its event need not be made
			}
		}
		e := eventlog.EventOf(r)
		return e != nil && pattern.MatchEvent(e)
	}, w, nil
}

// wantedOf is what the log can rule out records by that a search's key or filter, which has been parsed, does not want.
func wantedOf(q query) (w eventlog.Wanted) {
	if key := q.text("key"); key != "" {
		w.Key = []byte(key)
	}
	w.Type = typesOf([]byte(q.text("filter")))
	return w
}

// typesKnown bounds how many types of events one search remembers its verdict of.
const typesKnown = 1000

// typesOf says of which types events can be that a pattern matches: its fields are all to match. nil = of any.
func typesOf(pattern []byte) func(typ []byte) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(pattern, &fields) != nil || fields["type"] == nil {
		return nil
	}
	only, err := json.Marshal(map[string]json.RawMessage{"type": fields["type"]})
	if err != nil {
		return nil
	}
	types, err := match.Parse(only)
	if err != nil || types.MatchEvent(&event.Event{Type: event.TypeRecord}) { // a record that is no event becomes one of that type, whatever its headers say
		return nil
	}
	known := map[string]bool{}
	return func(typ []byte) bool {
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
