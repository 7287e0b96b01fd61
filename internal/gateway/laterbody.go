package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Bodies keeps the bodies of requests that are answered later where they are too long for an event.
type Bodies interface {
	// Put stores a body and returns where it stands. Blocks until it is durable. Unavailable when there is no room for it.
	Put(ctx context.Context, body []byte) (*function.StoredBody, error)
}

// noBodies is where none is kept.
type noBodies struct{}

func (noBodies) Put(context.Context, []byte) (*function.StoredBody, error) {
	return nil, fault.New(fault.TooLarge, "a request that is answered later is larger than an event may be").WithHint("the node's setting limits.event bounds it")
}

// lateRecord is e with a request as its data. A body with which it would be larger than an event may be is stored ahead, and req says where: so an event
// never names a body that is not there.
func (g *Gateway) lateRecord(ctx context.Context, e *event.Event, req *function.InvokeRequest) (*eventlog.Record, error) {
	late := req.Request
	if int64(base64.StdEncoding.EncodedLen(len(late.Body))) <= g.limits.Event {
		record, err := encodeLate(e, req)
		if err != nil || recordSize(record) <= g.limits.Event {
			return record, err
		}
	}
	if len(late.Body) > 0 {
		var err error
		if late.Stored, err = g.bodies.Put(ctx, late.Body); err != nil {
			return nil, err
		}
		late.Body = nil
	}
	record, err := encodeLate(e, req)
	if err == nil && recordSize(record) > g.limits.Event {
		err = tooLarge("a request that is answered later, its body left out,", g.limits.Event)
	}
	return record, err
}

func encodeLate(e *event.Event, req *function.InvokeRequest) (*eventlog.Record, error) {
	data, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode a request to %s: %w", req.Function, err)
	}
	e.Data = data
	record := eventlog.FromEvent(function.TopicInvoke, e)
	return &record, nil
}
