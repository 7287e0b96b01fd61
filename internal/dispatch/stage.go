package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// stage is one step of an attempt. It works on w and may settle it, after which only the record stage still acts. An
// error means that dalamb failed: the attempt has not taken place, and will be begun again.
type stage interface {
	do(ctx context.Context, w *work) error
}

// stages run one after another.
type stages []stage

func (ss stages) do(ctx context.Context, w *work) error {
	for _, s := range ss {
		if err := s.do(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// run runs the stages for an attempt, or for the attempts of a batch.
func (ss stages) run(ctx context.Context, w *work) error {
	if w.batch == nil {
		return ss.do(ctx, w)
	}
	return ss.doBatch(ctx, w.batch)
}

// work is one attempt on its way through the stages. It belongs to the goroutine that runs them, then to the partition again.
type work struct {
	trigger  *catalog.Trigger
	keys     progressKeys
	shelf    *shelf
	newest   *newest           // of the lane, where its trigger minds
	position eventlog.Position // of the event
	appended time.Time         // when the log took the event
	run      string
	before   []function.Attempt // what earlier attempts came to
	asked    time.Time          // since when it asks for an instance again and again; zero = from now on
	patience time.Duration      // for how long it may wait for an instance while none is starting; 0 = as long as it takes
	stored   bool               // a retryRecord of the run is in the log
	cause    *event.Event       // as it stands in the log; nil until fetched
	batch    []*work            // of the first of a batch: all of it, itself first

	// Set by unwrap: what is invoked, and by which rules.
	request  *function.InvokeRequest // an asynchronous call or a redrive; nil for an event's own run
	name     string                  // of the trigger whose rules apply
	rules    function.Trigger
	origin   function.EventRef
	input    *event.Event // nil when payload is set
	payload  []byte
	body     []byte // of a request that is answered later, while it runs
	emitTo   string
	emitBase string // the run whose id the emitted events' ids come from

	// What came of it.
	id          string // of the invocation
	note        string // what there is to tell of its version
	result      *function.Result
	batched     int              // how many events the invocation had, when it had a batch
	whole       bool             // it failed with the whole batch
	held        bool             // to be run again behind an earlier event of its key, as if this attempt had not been
	attempt     function.Attempt // Number 0 = there was none
	state       function.RunState
	reason      string
	lost        int64     // offsets that retention took unseen, this one among them
	rule        rule      // that the user wrote and that skipped it; "" = none
	condition   condition // why it is dead or discarded, where that is not that its attempts are used up
	due         time.Time // of the next attempt, when retrying
	emitted     []function.Emitted
	captured    []json.RawMessage // of a replay that captures: what was emitted
	captureCut  bool
	destination *function.Sent   // what the run's destination is told
	sent        *eventlog.Record // and the record of that
	outputs     []eventlog.Record
	records     []eventlog.Record // all that the outcome puts in the log, outputs included
	process     *tracing.Span     // of the attempt, and of all in its batch
	sending     *tracing.Span     // of what it emits, until that is in the log
}

// since is when the age of the event begins to count: for one that was there before the trigger was, with the trigger.
func (w *work) since() time.Time {
	if w.trigger.Began.After(w.appended) {
		return w.trigger.Began
	}
	return w.appended
}

func (w *work) settled() bool { return w.state != "" }

func (w *work) settle(s function.RunState, format string, args ...any) {
	w.state, w.reason = s, fmt.Sprintf(format, args...)
}

// final says that the run is over with this attempt.
func (w *work) final() bool { return w.state != function.RunRetrying }

// each calls f for every attempt of the invocation, in the order of the log.
func (w *work) each(f func(*work)) {
	if w.batch == nil {
		f(w)
		return
	}
	for _, m := range w.batch {
		f(m)
	}
}

// allRecords are what the invocation puts in the log.
func (w *work) allRecords() []eventlog.Record {
	if w.batch == nil {
		return w.records
	}
	var all []eventlog.Record
	for _, m := range w.batch {
		all = append(all, m.records...)
	}
	return all
}

// attempts are all that are over, this one included.
func (w *work) attempts() []function.Attempt {
	if w.attempt.Number == 0 {
		return w.before
	}
	return append(w.before[:len(w.before):len(w.before)], w.attempt)
}

func recordSize(r *eventlog.Record) int64 {
	n := 96 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += 48 + len(h.Name) + len(h.Value)
	}
	return int64(n)
}
