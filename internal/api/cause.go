package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/wire"
)

// causeOf says where an event came from. What caused it is looked for where the index says, or near the time in its id, and not by a scan.
func (a *API) causeOf(ctx context.Context, f *found) (wire.EventCause, error) {
	e := f.event
	by := ""
	if id := e.Extension(event.ExtAuthID); id != "" {
		by = fmt.Sprintf(", by %s %s", e.Extension(event.ExtAuthType), fault.Clip(id))
	}
	switch e.Type {
	case event.TypeRequestCompleted:
		var r function.Request
		if decodeData(f, &r) {
			r.Body, r.Answer, r.Header = nil, nil, nil // the event has them
			return wire.EventCause{Kind: "request", Text: requestWords(&r) + by, Event: e.Extension(event.ExtCausationID), Request: &r}, nil
		}
	case event.TypeScheduleTicked:
		return wire.EventCause{Kind: "tick", Text: "a tick of schedule " + strings.TrimSpace(e.Subject)}, nil
	case event.TypeGitPushed:
		var p struct{ Repository, Ref, Pusher, After string }
		if decodeData(f, &p) {
			text := fmt.Sprintf("a push to git repository %s, %s", p.Repository, p.Ref)
			if p.Pusher != "" {
				text += ", by " + p.Pusher
			}
			return wire.EventCause{Kind: "git", Text: text}, nil
		}
	case event.TypeImagePushed:
		return wire.EventCause{Kind: "image", Text: "a push of an image: " + e.Subject}, nil
	case event.TypeInvokeRequested:
		var r function.InvokeRequest
		if decodeData(f, &r) {
			text := "an asynchronous call of " + r.Function
			if r.RedriveOf != "" {
				text = fmt.Sprintf("a redrive of dead letter %s of %s/%s", r.RedriveOf, r.Function, r.Trigger)
			}
			return wire.EventCause{Kind: "invoke", Text: text + by, Event: e.Extension(event.ExtCausationID)}, nil
		}
	}
	cause := e.Extension(event.ExtCausationID)
	if cause == "" {
		return wire.EventCause{Kind: "sent", Text: "sent with source " + e.Source + by}, nil
	}
	return a.emitter(ctx, f, cause)
}

// emitter finds who emitted an event that another one caused.
func (a *API) emitter(ctx context.Context, f *found, cause string) (wire.EventCause, error) {
	c := wire.EventCause{Kind: "run", Event: cause, Text: fmt.Sprintf("emitted because of event %s, of which nothing more is known", fault.Clip(cause))}
	page, err := a.history.Runs(history.Query{EventID: cause, Limit: maxStoryRuns})
	if err != nil {
		return c, err
	}
	for _, r := range page.Rows {
		if slices.ContainsFunc(r.Emitted, func(e function.Emitted) bool { return e.ID == f.event.ID }) || r.Sent != nil && r.Sent.ID == f.event.ID {
			c.Run = r.ID
			c.Text = fmt.Sprintf("emitted by %s/%s, version %d, run %s of %s", r.Function, r.Trigger, function.LastVersion(r.Attempts), r.ID, fault.Clip(r.Event.Type))
			return c, nil
		}
	}
	ps, err := a.searched(ctx, function.TopicRequests)
	if fault.KindOf(err) == fault.NotFound {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	at, ok := timeOfID(cause)
	if !ok {
		return c, nil
	}
	req, err := a.findAround(ctx, ps, cause, at, at)
	if err != nil || req == nil {
		return c, err
	}
	var r function.Request
	if req.event.Type == event.TypeRequestCompleted && decodeData(req, &r) {
		c.Kind, c.Text = "request", "emitted for "+requestWords(&r)
	}
	return c, nil
}

func requestWords(r *function.Request) string {
	text := fmt.Sprintf("a request %s %s", r.Method, fault.Clip(r.Path))
	if r.Remote != "" {
		text += " from " + r.Remote
	}
	text += fmt.Sprintf(", answered %d by %s, version %d, in %s", r.Status, r.Function, r.Version, r.Duration.Std())
	if r.Abandoned {
		text += ", whose client went away"
	}
	return text
}

// decodeData reads the data of one of dalamb's own events; ok is false for what is none.
func decodeData(f *found, into any) (ok bool) { return json.Unmarshal(f.event.Data, into) == nil }
