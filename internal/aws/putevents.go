package aws

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

// decode reads the body as a call of Lambda's API does, and refuses it with the type that AWS JSON has for it.
func (c *eventsCall) decode(v any) error {
	err := c.call.decode(v)
	if r, ok := errors.AsType[*refusal](err); ok {
		return ofType("SerializationException", r.err)
	}
	return err
}

// entry is AWS's PutEventsRequestEntry.
type entry struct {
	Time         *float64 // seconds since 1970
	Source       string
	Resources    []string
	DetailType   string
	Detail       string
	EventBusName string
	TraceHeader  string
}

// entryResult is AWS's PutEventsResultEntry.
type entryResult struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// maxPut bounds the entries of one PutEvents. Amazon EventBridge API reference, PutEvents.
const maxPut = 10

func (b *EventBridge) putEvents(c *eventsCall) (any, error) {
	var req struct {
		Entries    []entry
		EndpointID string `json:"EndpointId"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	switch {
	case req.EndpointID != "":
		return nil, badValue("EndpointId: there are no endpoints here; all nodes of a log are equal")
	case len(req.Entries) == 0 || len(req.Entries) > maxPut:
		return nil, badValue("Entries: %d are there; from 1 to %d can be", len(req.Entries), maxPut)
	}
	results := make([]entryResult, len(req.Entries))
	taken := map[string][]int{} // topic -> entries
	var topics []string
	all := make([]*event.Event, len(req.Entries))
	for i := range req.Entries {
		e, topic, refused := b.event(c, &req.Entries[i])
		if refused != nil {
			results[i] = *refused
			continue
		}
		if taken[topic] == nil {
			topics = append(topics, topic)
		}
		all[i], taken[topic] = e, append(taken[topic], i)
	}
	for _, topic := range topics {
		b.put(c, topic, taken[topic], all, results)
	}
	failed := 0
	for _, r := range results {
		if r.ErrorCode != "" {
			failed++
		}
	}
	return struct {
		FailedEntryCount int
		Entries          []entryResult
	}{failed, results}, nil
}

// put stores those entries of a topic that can be. They are tried together first, which is one write; where one of them is refused nothing is stored, and
// each is tried by itself. What is refused for another reason than what it is may be stored, so it is not tried again.
func (b *EventBridge) put(c *eventsCall, topic string, which []int, all []*event.Event, results []entryResult) {
	events := make([]*event.Event, len(which))
	for n, i := range which {
		events[n] = all[i]
	}
	err := b.ingest.Take(c.ctx(), topic, c.sender, events)
	again := len(which) > 1
	switch fault.KindOf(err) {
	case fault.Invalid, fault.TooLarge, fault.Denied, fault.Exhausted:
	default:
		again = false
	}
	for n, i := range which {
		one := err
		if again {
			one = b.ingest.Take(c.ctx(), topic, c.sender, events[n:n+1])
		}
		if one != nil {
			results[i] = b.refusedEntry(one)
			continue
		}
		results[i] = entryResult{EventID: all[i].ID}
	}
}

// refusedEntry says why an entry is not stored. Amazon EventBridge API reference, PutEventsResultEntry: ErrorCode.
func (b *EventBridge) refusedEntry(err error) entryResult {
	code := "InternalFailure"
	switch fault.KindOf(err) {
	case fault.Invalid, fault.TooLarge:
		code = "InvalidArgument"
	case fault.NotFound:
		code = "ResourceNotFoundException"
	case fault.Denied:
		code = "AccessDeniedException"
	case fault.Exhausted:
		code = "ThrottlingException"
	case fault.Unavailable, fault.Timeout:
	default:
		b.l.o.Logger.Error("entry of PutEvents", "err", err)
	}
	return entryResult{ErrorCode: code, ErrorMessage: messageOf(err)}
}

// event is the one that an entry is: source, type, time, and the detail as data. What it is about is its subject, or where that is several things the
// extension resources.
func (b *EventBridge) event(c *eventsCall, r *entry) (*event.Event, string, *entryResult) {
	refused := func(code, message string) (*event.Event, string, *entryResult) {
		return nil, "", &entryResult{ErrorCode: code, ErrorMessage: message}
	}
	for _, f := range [][2]string{{"Source", r.Source}, {"DetailType", r.DetailType}, {"Detail", r.Detail}} {
		if f[1] == "" {
			return refused("InvalidArgument", "Parameter "+f[0]+" is not valid. Reason: "+f[0]+" is a required argument.")
		}
	}
	var detail map[string]json.RawMessage
	switch {
	case json.Unmarshal([]byte(r.Detail), &detail) != nil || detail == nil:
		return refused("MalformedDetail", "Detail is malformed.")
	case strings.HasPrefix(r.Source, "aws."):
		return refused("NotAuthorizedForSourceException", "Not authorized for the source.")
	case event.Reserved(r.DetailType):
		return refused("NotAuthorizedForDetailTypeException", "Not authorized for the detail type.")
	case r.TraceHeader != "":
		return refused("InvalidArgument", "Parameter TraceHeader is not valid. Reason: there is no X-Ray here.")
	}
	one, err := b.bus(r.EventBusName)
	if err == nil {
		one, err = one.ofEnvironment(c.ctx())
	}
	if err != nil {
		result := b.refusedEntry(err)
		return nil, "", &result
	}
	at := b.l.o.Now()
	if r.Time != nil {
		if *r.Time < 0 || *r.Time > math.MaxInt32*100 || math.IsNaN(*r.Time) {
			return refused("InvalidArgument", "Parameter Time is not valid. Reason: it is no time.")
		}
		at = time.Unix(int64(*r.Time), 0)
	}
	e := &event.Event{
		// Whole seconds, as EventBridge tells them: a pattern and the function see the same.
		ID: event.NewID(), Source: r.Source, Type: r.DetailType, Time: at.UTC().Truncate(time.Second), DataContentType: "application/json", Data: []byte(r.Detail),
	}
	if err := e.SetResources(r.Resources); err != nil {
		return refused("InvalidArgument", "Parameter Resources is not valid. Reason: "+err.Error())
	}
	if err := e.Validate(); err != nil {
		return refused("InvalidArgument", "The entry is no CloudEvent: "+err.Error())
	}
	return e, one.topic, nil
}
