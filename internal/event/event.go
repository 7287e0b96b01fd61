// Package event owns the CloudEvents 1.0 event: its attributes, its rules and its encodings.
// It does not store or move events; eventlog does.
package event

import (
	"maps"
	"strings"
	"time"
)

// SpecVersion is the only specversion that is understood. CloudEvents 1.0, section 3.1.
const SpecVersion = "1.0"

// Extension attributes that dalamb reads and writes. Each value is a string unless said otherwise.
const (
	ExtPartitionKey  = "partitionkey"  // the key of the event; CloudEvents partitioning extension
	ExtTraceParent   = "traceparent"   // W3C trace context
	ExtCorrelationID = "correlationid" // the id of the first event of the chain
	ExtCausationID   = "causationid"   // the id of the event that caused this one
	ExtHops          = "dalambhops"    // int32: how many functions the chain has passed; the loop guard
	ExtChain         = "dalambchain"   // the types and functions of the chain, the newest of them; for people and the loop guard
	ExtSequence      = "sequence"      // rises with the events of a source or key; CloudEvents sequence extension
	ExtOriginID      = "originid"      // the id that a function gave, where dalamb set another
	ExtNotBefore     = "notbefore"     // a time: an event that is sent to the gateway waits until then
	ExtReplay        = "dalambreplay"  // the name of the replay that runs this event again, or that published it
	ExtAuthType      = "authtype"      // who caused the event: user, api_key; CloudEvents auth context extension
	ExtAuthID        = "authid"        // and its name
	ExtShadow        = "dalambshadow"  // true: a copy, of which the outcome is only compared
	ExtSealed        = "dalambsealed"  // SealedForgotten, SealedDamaged or SealedLeftOut: why an event of a sealed topic is read without its data
	ExtResources     = "resources"     // a JSON array of texts: what an event is about, where that is more than one thing
)

// Values of ExtSealed.
const (
	SealedForgotten = "forgotten" // its key is gone, and so the data is
	SealedDamaged   = "damaged"   // what is stored is not what was sealed
	SealedLeftOut   = "leftout"   // it was never stored: a replay has captured the event, and could not have sealed it with its key
)

// MaxHops is the length of the longest chain of events. One past it is dead-lettered as a loop.
const MaxHops = 64

// Event is a CloudEvents 1.0 event. It is immutable once made: a receiver that changes one works on a Clone.
type Event struct {
	ID              string
	Source          string // URI-reference
	Type            string
	Subject         string    // "" = absent
	Time            time.Time // zero = absent
	DataContentType string    // media type; "" = absent, which means JSON where data is
	DataSchema      string    // URI; "" = absent

	// Extensions holds bool, int32 or string values only. Binary, URI and timestamp values are kept in their
	// canonical string form (CloudEvents 1.0, section 2.3), which is how every encoding carries them.
	Extensions map[string]any

	// Data is the payload's bytes; nil = no data. FromHTTP and UnmarshalJSON accept declared JSON only when it is one valid
	// value; a record of a log that others write to may break that, and then every encoding carries the bytes as they are.
	Data []byte

	// Seal names the key by which the log keeps the event's data sealed; "" = by none. It is known of what was read from a log, and is in no
	// encoding: who stores the data again, beside the event, says by it what is to go when that key is forgotten.
	Seal string
}

// Key is what orders events: partitionkey, else subject, else "" for none.
func (e *Event) Key() string {
	if k, ok := e.Extensions[ExtPartitionKey].(string); ok && k != "" {
		return k
	}
	return e.Subject
}

// Hops reads ExtHops; 0 when absent.
func (e *Event) Hops() int {
	n, _ := e.Extensions[ExtHops].(int32)
	return int(n)
}

// Extension returns a string extension, or "" when it is absent or of another type.
func (e *Event) Extension(name string) string {
	s, _ := e.Extensions[name].(string)
	return s
}

// IsJSON says that there is data and that it is declared to be JSON: by absence of a media type, or by one whose subtype is
// json or ends in +json. CloudEvents JSON format, section 3.1.1. Whether the bytes keep the promise is another question; see Data.
func (e *Event) IsJSON() bool {
	return e.Data != nil && declaresJSON(e.DataContentType)
}

func declaresJSON(mediaType string) bool {
	if mediaType == "" || mediaType == jsonMediaType {
		return true
	}
	essence, _, _ := strings.Cut(mediaType, ";")
	_, sub, _ := strings.Cut(strings.ToLower(strings.TrimSpace(essence)), "/")
	return sub == "json" || strings.HasSuffix(sub, "+json")
}

// Clone returns a copy whose attributes and extensions may be changed. Data is shared: it may be replaced, not written into.
func (e *Event) Clone() *Event {
	c := *e
	c.Extensions = maps.Clone(e.Extensions)
	return &c
}
