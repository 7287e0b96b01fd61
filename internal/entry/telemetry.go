package entry

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// kind is what a telemetry record tells of, in the words of AWS's Telemetry API.
type kind string

const (
	kindPlatform  kind = "platform"
	kindFunction  kind = "function"
	kindExtension kind = "extension"
)

// Bounds of what is kept of an instance's start for extensions that subscribe a moment later.
const (
	maxEarly      = 1000
	maxEarlyBytes = 256 << 10
)

// telemetry passes what an instance does and prints to the extensions that subscribed to it. AWS Lambda developer guide, "Using the
// Lambda Telemetry API".
type telemetry struct {
	now func() time.Time

	mu         sync.Mutex
	closed     bool // for subscriptions
	early      []fact
	earlyBytes int
	subs       []*subscription
}

// fact is one record, as each of the two APIs tells it; nil = it does not.
type fact struct {
	kind      kind
	telemetry []byte
	logs      []byte
}

// telemetryRecord is the shape of all records.
type telemetryRecord struct {
	Time   string `json:"time"`
	Type   string `json:"type"`
	Record any    `json:"record"`
}

const telemetryTime = "2006-01-02T15:04:05.000Z"

func encodeRecord(at time.Time, typ string, record any) []byte {
	b, err := json.Marshal(telemetryRecord{at.UTC().Format(telemetryTime), typ, record})
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", typ, err)) // records are texts and numbers
	}
	return b
}

// quiet says that nobody listens, nor ever will.
func (t *telemetry) quiet() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed && len(t.subs) == 0
}

// line tells what a function or an extension printed.
func (t *telemetry) line(k kind, l function.LogLine) {
	if t.quiet() {
		return
	}
	b := encodeRecord(l.Time, string(k), l.Text)
	t.add(fact{k, b, b})
}

// platform tells what dalamb itself did. A record that the Logs API has another shape of gives that too.
func (t *telemetry) platform(what string, record any) {
	if t.quiet() {
		return
	}
	f := fact{kind: kindPlatform, telemetry: encodeRecord(t.now(), "platform."+what, record)}
	if old, ok := record.(interface{ old() (string, any) }); ok {
		if typ, record := old.old(); typ != "" {
			f.logs = encodeRecord(t.now(), "platform."+typ, record)
		}
	} else {
		f.logs = f.telemetry
	}
	t.add(f)
}

func (t *telemetry) add(f fact) {
	t.mu.Lock()
	subs := t.subs
	if !t.closed && len(t.early) < maxEarly && t.earlyBytes < maxEarlyBytes {
		t.early = append(t.early, f)
		t.earlyBytes += len(f.telemetry) + len(f.logs)
	}
	t.mu.Unlock()
	for _, s := range subs {
		s.add(f)
	}
}

// subscribe adds a subscription, which gets what was told so far too. It says whether that is still possible.
func (t *telemetry) subscribe(s *subscription) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	for i, other := range t.subs {
		if other.owner == s.owner && other.old == s.old { // the newest counts
			other.end()
			t.subs[i] = s
			return true
		}
	}
	for _, f := range t.early {
		s.add(f)
	}
	t.subs = append(t.subs[:len(t.subs):len(t.subs)], s)
	return true
}

// close takes no more subscriptions.
func (t *telemetry) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed, t.early = true, nil
}

// flush waits a moment until what is there has been delivered.
func (t *telemetry) flush() {
	t.mu.Lock()
	subs := t.subs
	t.mu.Unlock()
	for _, s := range subs {
		s.flush()
	}
}

// end ends all deliveries.
func (t *telemetry) end() {
	t.close()
	t.mu.Lock()
	subs := t.subs
	t.mu.Unlock()
	for _, s := range subs {
		s.end()
	}
}

// tee gives the log what is printed, and the telemetry.
func (c *lambdaConn) tee(k kind) func(function.LogLine) {
	return func(l function.LogLine) {
		c.entries.Log(l)
		c.tele.line(k, l)
	}
}
