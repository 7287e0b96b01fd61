package aws

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Amazon EventBridge API reference; its protocol is AWS JSON 1.1: every operation is a POST to /, which the header names.
const (
	eventsService = "events"
	eventsTarget  = "AWSEvents."
	targetHeader  = "X-Amz-Target"
	jsonProtocol  = "application/x-amz-json-1.1"
)

// maxEntries bounds the body of PutEvents in bytes: one entry may be as large as the node takes events by default, whose JSON is a text within JSON.
const maxEntries = 4 << 20

// Topics are the buses, by the checks of every topic.
type Topics interface {
	Topics(ctx context.Context) (wire.TopicList, error)
	Topic(ctx context.Context, name string) (wire.Topic, error)
	CreateTopic(ctx context.Context, req wire.TopicCreate) (wire.Topic, error)
	DeleteTopic(ctx context.Context, name string) error
}

// Passage is a trigger's way through its topic.
type Passage interface {
	SkipToEnd(ctx context.Context, fn, trigger string) error
	StartReplay(ctx context.Context, req wire.ReplayRequest) (wire.Replay, error)
	Replay(name string) (wire.Replay, error)
	CancelReplay(ctx context.Context, name string) (wire.Replay, error)
}

// Ingest stores events in the name of a token, all of them or none.
type Ingest interface {
	Take(ctx context.Context, topic, sender string, events []*event.Event) error
}

// EventBridgeOptions are those of NewEventBridge; all are required.
type EventBridgeOptions struct {
	Lambda  *Lambda // whose access keys, region and functions these are
	Topics  Topics
	Passage Passage
	Ingest  Ingest
}

// EventBridge is the handler of Amazon EventBridge's API. Safe for concurrent use.
type EventBridge struct {
	l          *Lambda
	topics     Topics
	passage    Passage
	ingest     Ingest
	operations map[string]eventsOperation
}

// NewEventBridge checks the options.
func NewEventBridge(o EventBridgeOptions) (*EventBridge, error) {
	if o.Lambda == nil || o.Topics == nil || o.Passage == nil || o.Ingest == nil {
		return nil, errors.New("EventBridge's API needs the Lambda API, topics, who replays them, and who takes events in")
	}
	b := &EventBridge{l: o.Lambda, topics: o.Topics, passage: o.Passage, ingest: o.Ingest, operations: map[string]eventsOperation{}}
	for _, op := range eventsOperations() {
		b.operations[op.Name] = op
	}
	return b, nil
}

// Wants says whether a request names an operation in the way of AWS's JSON protocols, whatever the service.
func Wants(r *http.Request) bool { return r.Header.Get(targetHeader) != "" }

// eventsCall is one request for an operation.
type eventsCall struct {
	*call
	sender string // the name of the token or access key that was shown
}

// ServeHTTP answers a request to whoever may have it.
func (b *EventBridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, known := strings.CutPrefix(r.Header.Get(targetHeader), eventsTarget)
	op, there := b.operations[name]
	if !known || !there {
		op = eventsOperation{Name: fault.Clip(r.Header.Get(targetHeader))}
	}
	if !isSigned(r) {
		b.l.o.Known(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, op) })).ServeHTTP(w, r)
		return
	}
	who, err := b.l.authenticate(w, r, expected{eventsService, op.most()})
	defer who.done()
	if err != nil {
		b.fail(w, r, err)
		return
	}
	b.serve(w, r.WithContext(access.With(r.Context(), who.Actor)), op)
}

func (b *EventBridge) serve(w http.ResponseWriter, r *http.Request, op eventsOperation) {
	w.Header().Set("X-Amzn-Requestid", newRequestID())
	who := access.From(r.Context())
	if err := op.permit(who); err != nil {
		b.fail(w, r, err)
		return
	}
	if op.serve == nil {
		b.fail(w, r, op.absent())
		return
	}
	c, err := newCall(w, r, operation{max: op.max})
	if err != nil {
		b.fail(w, r, err)
		return
	}
	sender := function.NodeToken // of people, who have no token of a name
	if who.Type == access.APIKey {
		sender = who.ID
	}
	answer, err := op.serve(b, &eventsCall{c, sender})
	if err != nil {
		b.fail(w, r, err)
		return
	}
	if answer == nil {
		answer = struct{}{}
	}
	writeEvents(w, http.StatusOK, answer)
}

// fail is the top of a request, as that of Lambda's API.
func (b *EventBridge) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is there to read it
	}
	err = b.l.discreet(r.Context(), err)
	if fault.KindOf(err) == fault.Internal {
		b.l.o.Logger.Error("request by AWS's API", "target", fault.Clip(r.Header.Get(targetHeader)), "err", err)
	}
	writeEventsError(w, err)
}
