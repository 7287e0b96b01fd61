package api

import "github.com/dalamb/dalamb/internal/wire"

// questionRoutes are those that tell stories: of one event, of a chain of them, of the platform.
func (a *API) questionRoutes() []route {
	topic := param{Name: "topic", Type: "string", About: "look in this topic alone"}
	fn := param{Name: "function", Type: "string", About: "only of this function"}
	return []route{
		{Method: "GET", Path: "/v1/explanation", Name: "explainEvent", Summary: "The story of one event: where it came from, which triggers wanted it and which did not and why, and what became of it.",
			Query:  []param{{Name: "id", Type: "string", About: "of the event, of a run of it, or TOPIC/PARTITION@OFFSET"}, topic},
			Answer: wire.Explanation{}, serve: a.bounded(a.explainEvent)},
		{Method: "GET", Path: "/v1/trace", Name: "traceEvent", Summary: "The tree of events and runs that an event belongs to, from the first that can be found.",
			Query:  []param{{Name: "id", Type: "string", About: "of an event or a run, a W3C trace id, or TOPIC/PARTITION@OFFSET"}, topic},
			Answer: wire.Trace{}, serve: a.bounded(a.traceEvent)},
		{Method: "GET", Path: "/v1/bundle", Name: "exportTrace", Summary: "A trace with all that belongs to it, as a tar archive: events, runs, logs, versions with their code, rules and configuration values. No secret's value.",
			Query: []param{
				{Name: "id", Type: "string", About: "of an event or a run, a W3C trace id, or TOPIC/PARTITION@OFFSET"}, topic,
				{Name: "causes", Type: "boolean", About: "from the first cause on that can be found; else from the event on"},
				{Name: "images", Type: "integer", About: "with the images that the versions ran, of at most so many bytes, 8 GiB; it needs the right to operate their functions. Without them by default"},
			}, AnswerType: "application/x-tar", raw: a.exportTrace},
		{Method: "GET", Path: "/v1/past", Name: "getPast", Summary: "The platform as it was at a time: functions, versions, aliases, triggers, names of values.",
			Query:  []param{{Name: "at", Type: "string", About: "a time, or how long ago (15m); now by default"}, fn},
			Answer: wire.Past{}, serve: a.bounded(a.getPast)},
		{Method: "GET", Path: "/v1/changes", Name: "listChanges", Summary: "What was changed on the platform, the newest last.",
			Query: []param{
				{Name: "since", Type: "string", About: "a time, or how long ago (15m)"},
				{Name: "before", Type: "string", About: "a time, or how long ago; now by default"},
				fn,
				{Name: "env", Type: "string", About: "only of functions and values of this environment"},
				{Name: "limit", Type: "integer", About: "the newest so many; 100, at most 10000"},
			}, Answer: wire.ChangeList{}, serve: a.bounded(a.listChanges)},
	}
}
