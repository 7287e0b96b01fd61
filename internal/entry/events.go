package entry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// eventsIn reads the CloudEvents that an answer consists of; nil when it is anything else.
//
// A JSON object counts as a CloudEvent when it has a member "specversion" and a member "type"; an array, when it is not
// empty and its first element counts. What counts must then be right to the last one, so that a slip of the pen is an
// error and not an event that quietly never happened. A function may leave out id, time and source: an id that it left
// out stays "" for the log to give, a source is /functions/NAME.
func eventsIn(body []byte, name string) ([]*event.Event, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || (body[0] != '{' && body[0] != '[') || !bytes.Contains(body, []byte(`"specversion"`)) {
		return nil, nil
	}
	if body[0] == '{' {
		members, ok := claims(body)
		if !ok {
			return nil, nil
		}
		e, err := returned(body, members, name)
		if err != nil {
			return nil, err
		}
		return []*event.Event{e}, nil
	}
	var elements []json.RawMessage
	if json.Unmarshal(body, &elements) != nil {
		return nil, nil
	}
	events := make([]*event.Event, 0, len(elements))
	for i, raw := range elements {
		members, ok := claims(raw)
		switch {
		case !ok && i == 0:
			return nil, nil
		case !ok:
			return nil, fmt.Errorf("element %d: is no CloudEvent, though the first one is", i)
		}
		e, err := returned(raw, members, name)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		events = append(events, e)
	}
	return events, nil
}

func claims(raw []byte) (map[string]json.RawMessage, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil, false
	}
	_, spec := members["specversion"]
	_, typ := members["type"]
	return members, spec && typ
}

// placeholder stands for an id that the function left out, until the event's other attributes have been checked.
const placeholder = "-"

// returned decodes one event that a function gave, with what it may leave out filled in.
func returned(raw []byte, members map[string]json.RawMessage, name string) (*event.Event, error) {
	raw = bytes.TrimSpace(raw)
	_, hasID := members["id"]
	_, hasSource := members["source"]
	if !hasID || !hasSource {
		full := []byte{'{'}
		if !hasID {
			full = append(full, `"id":"`+placeholder+`",`...)
		}
		if !hasSource {
			full = append(full, `"source":"`+sourceOf(name)+`",`...)
		}
		raw = append(full, raw[1:]...) // there are members after it: specversion and type
	}
	e := new(event.Event)
	if err := e.UnmarshalJSON(raw); err != nil {
		return nil, err
	}
	if !hasID {
		e.ID = ""
	}
	return e, allowed(e)
}

func sourceOf(name string) string { return "/functions/" + name }

func allowed(e *event.Event) error {
	if event.Reserved(e.Type) {
		return fmt.Errorf("attribute \"type\": %q begins with dalamb., which only dalamb itself may write", e.Type)
	}
	return nil
}

// eventsInHTTP reads the CloudEvents of an HTTP function's answer: binary mode, a cloudevents content type, or JSON as in eventsIn.
func eventsInHTTP(h http.Header, body []byte, name string) ([]*event.Event, error) {
	if strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "application/cloudevents") || h.Get("Ce-Specversion") == "" {
		return eventsIn(body, name)
	}
	noID := h.Get("Ce-Id") == ""
	if noID || h.Get("Ce-Source") == "" {
		h = h.Clone()
		if noID {
			h.Set("Ce-Id", placeholder)
		}
		if h.Get("Ce-Source") == "" {
			h.Set("Ce-Source", sourceOf(name))
		}
	}
	events, _, err := event.FromHTTP(h, body)
	if errors.Is(err, event.ErrNotEvent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if noID {
			e.ID = ""
		}
		if err := allowed(e); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// succeeded is the result of an answer, with the events in it.
func succeeded(body []byte, name string) *function.Result {
	events, err := eventsIn(body, name)
	if err != nil {
		return badEvent(body, err)
	}
	return &function.Result{Outcome: function.Succeeded, Status: statusOK, Body: body, Events: events}
}

func badEvent(body []byte, err error) *function.Result {
	r := badAnswer("Function.InvalidEvent", "the answer is a CloudEvent that is not right: %v", err)
	r.Body = body
	return r
}
