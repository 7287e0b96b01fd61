package gateway

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// What the URL of POST /_/events may say of a body that is no CloudEvent itself:
//
//	type     required; the rest is optional
//	source   default "/gateway"
//	id       default a new UUID
//	time     RFC 3339; default now
//	subject, dataschema
//	key      the partitionkey extension: events of one key stay in order
//	ce-NAME  the extension NAME
//
// The body becomes data, whatever it is, with the request's Content-Type as its datacontenttype. Two cases are helped:
// without a Content-Type a body that is JSON counts as JSON and any other as bytes; and JSON that claims to be a form counts as JSON, because
// that is what curl --data sends.
func urlParameters() []string {
	return []string{"type", "source", "id", "time", "subject", "dataschema", "key"}
}

const (
	extensionParameter = "ce-"
	topicParameter     = "topic"
	notBeforeParameter = "notBefore"
	delayParameter     = "delay"
	defaultSource      = "/gateway"
)

// requestParameters say what is done with the events, whatever form they have: they go to a topic, at once or not before a time.
func requestParameters() []string {
	return []string{topicParameter, notBeforeParameter, delayParameter}
}

// query is the URL's query, each parameter once.
type query map[string]string

// parseQuery refuses what POST /_/events does not know, since a slip of the pen would change what the event is.
func parseQuery(r *http.Request) (query, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the URL's query is malformed: %w", err)
	}
	q := make(query, len(values))
	for name, v := range values {
		known := slices.Contains(requestParameters(), name) || slices.Contains(urlParameters(), name) || strings.HasPrefix(name, extensionParameter)
		switch {
		case name == "token" || name == "access_token":
			return nil, fault.New(fault.Invalid, "a token in the URL is not taken").WithHint("URLs end up in logs: send it as Authorization: Bearer TOKEN, and think of this one as known to others")
		case !known:
			f := fault.New(fault.Invalid, "the URL has a parameter %q that POST /_/events does not know", name)
			if near := fault.Nearest(name, append(urlParameters(), requestParameters()...)); len(near) > 0 {
				return nil, f.WithHint("did you mean %s?", strings.Join(near, " or "))
			}
			return nil, f.WithHint("known: %s, %s, and ce-NAME for the extension NAME", strings.Join(requestParameters(), ", "), strings.Join(urlParameters(), ", "))
		case len(v) != 1:
			return nil, fault.New(fault.Invalid, "the URL has the parameter %q %d times", name, len(v)).WithHint("give it once")
		}
		q[name] = v[0]
	}
	return q, nil
}

func (q query) topic() string {
	if t := q[topicParameter]; t != "" {
		return t
	}
	return function.TopicEvents
}

// describes says whether the URL speaks of an event.
func (q query) describes() bool { return q.described() != "" }

// described is the first parameter that does.
func (q query) described() string {
	first := ""
	for name := range q {
		if !slices.Contains(requestParameters(), name) && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// event makes the event that the URL describes.
func (q query) event(contentType string, body []byte, now time.Time) (*event.Event, error) {
	e := &event.Event{
		Type: q["type"], Source: q["source"], ID: q["id"], Subject: q["subject"], DataSchema: q["dataschema"],
		Time: now, DataContentType: dataContentType(contentType, body),
	}
	if e.Type == "" {
		return nil, fault.New(fault.Invalid, "attribute %q: is required and may not be empty", "type").
			WithHint("say what happened, in the past tense: /_/events?type=order.requested")
	}
	if e.Source == "" {
		e.Source = defaultSource
	}
	if e.ID == "" {
		e.ID = event.NewID()
	}
	if text, ok := q["time"]; ok {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "attribute %q: %q is not a time of RFC 3339", "time", text).
				WithHint("write it as 2026-01-31T12:00:00Z; a + in a URL is %%2B")
		}
		e.Time = t
	}
	if len(body) > 0 {
		e.Data = body
	}
	if e.Data == nil {
		e.DataContentType = ""
	}
	for name, v := range q {
		ext, ok := strings.CutPrefix(name, extensionParameter)
		if name == "key" {
			ext, ok = event.ExtPartitionKey, v != ""
		}
		if !ok {
			continue
		}
		if _, twice := e.Extensions[ext]; twice {
			return nil, fault.New(fault.Invalid, "the URL gives %q twice: as key and as ce-%s", ext, ext)
		}
		if err := e.SetExtension(ext, v); err != nil {
			return nil, invalid(err)
		}
	}
	if err := e.Validate(); err != nil {
		return nil, invalid(err)
	}
	if e.IsJSON() && !validJSON(e.Data) {
		return nil, fault.New(fault.Invalid, "attribute %q: is not valid JSON, as Content-Type %q says", "data", contentType).
			WithHint("send what it is, for example Content-Type: text/plain")
	}
	return e, nil
}

func dataContentType(contentType string, body []byte) string {
	if contentType == "" {
		if validJSON(body) {
			return "application/json"
		}
		return "application/octet-stream"
	}
	if essence, _, err := mime.ParseMediaType(contentType); err == nil && essence == "application/x-www-form-urlencoded" {
		if b := bytes.TrimSpace(body); len(b) > 0 && (b[0] == '{' || b[0] == '[') && validJSON(b) {
			return "application/json"
		}
	}
	return contentType
}

// validJSON: JSON between systems is UTF-8. RFC 8259, section 8.1.
func validJSON(b []byte) bool { return utf8.Valid(b) && json.Valid(b) }
