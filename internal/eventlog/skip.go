package eventlog

import (
	"bytes"
	"context"
	"strings"
)

// Wanted is what a search looks for, as far as a log can rule records out by it without reading them. The zero value rules out none.
type Wanted struct {
	Key []byte // what the record's key is; nil = any, or none
	// Type says whether an event of a type can be wanted; nil = of any. What TypeIn cannot tell the type of can always be wanted. It is called by one
	// goroutine at a time, and its answer to a type is always the same.
	Type func(typ []byte) bool
}

// Any says that nothing is ruled out.
func (w Wanted) Any() bool { return w.Key == nil && w.Type == nil }

// Skipper is an optional ability of a Log, found by assertion. It never skips what is wanted; it may skip less than it could, and takes
// a fraction of a second for a call at most, so that who searches keeps to his own bounds.
type Skipper interface {
	// SkipAhead is where in [from, to) a search that goes on from there begins: no record in [from, at) is wanted. Errors as Read; blocks as Read with NoWait.
	SkipAhead(ctx context.Context, p Partition, from, to int64, w Wanted) (at int64, err error)
	// SkipBack is where in [from, to) a search that goes back from to begins: no record in [at, to) is wanted.
	SkipBack(ctx context.Context, p Partition, from, to int64, w Wanted) (at int64, err error)
}

// SkipAhead asks a log that is a Skipper, and skips nothing of any other.
func SkipAhead(ctx context.Context, l Log, p Partition, from, to int64, w Wanted) (at int64, err error) {
	if s, can := l.(Skipper); can && from < to && !w.Any() {
		return s.SkipAhead(ctx, p, from, to, w)
	}
	return from, nil
}

// SkipBack asks a log that is a Skipper, and skips nothing of any other.
func SkipBack(ctx context.Context, l Log, p Partition, from, to int64, w Wanted) (at int64, err error) {
	if s, can := l.(Skipper); can && from < to && !w.Any() {
		return s.SkipBack(ctx, p, from, to, w)
	}
	return to, nil
}

const (
	typeHeader = "ce_type"      // CloudEvents' Kafka binding, binary mode
	typeOfBody = "content-type" // application/cloudevents...: the event stands in the value, structured mode
	structured = "application/cloudevents"
)

// TypeIn is the type that a record's headers give its event; ok is false where they do not, or where the event stands in the value. A record that is a
// broken event has another one, event.TypeRecord.
func TypeIn(r *Record) (typ []byte, ok bool) {
	for i := range r.Headers {
		switch h := &r.Headers[i]; {
		case h.Name == typeHeader:
			typ, ok = h.Value, true
		case len(h.Name) == len(typeOfBody) && strings.EqualFold(h.Name, typeOfBody) && len(h.Value) >= len(structured) && bytes.EqualFold(h.Value[:len(structured)], []byte(structured)):
			return nil, false
		}
	}
	return typ, ok
}
