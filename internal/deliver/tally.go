package deliver

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// invocation is one invocation of the function, as the log tells of it.
type invocation struct {
	at      time.Time // that the log had it
	version int
	failed  bool
	took    time.Duration // 0 = not to be counted: it waited for a start, or it failed
	copies  *copies       // what it tells of copies, in place of all but at; nil = it is live
}

// reader reads invocations of a function out of _dalamb.requests and _dalamb.runs.
type reader struct {
	function string
	told     map[string]bool // attempts that more than one record may tell of
}

// read is what a record tells; ok is false when that is nothing of the function.
func (r *reader) read(rec *eventlog.Record) (i invocation, ok bool) {
	switch header(rec, "ce_type") {
	case event.TypeRequestCompleted:
		if header(rec, "ce_subject") == r.function {
			i, ok = request(rec.Value)
		}
	case event.TypeRunFinished, event.TypeAttemptFailed:
		var run function.Run
		if json.Unmarshal(rec.Value, &run) == nil {
			i, ok = r.attempt(&run)
		}
	case event.TypeBatchFinished:
		var b function.RunBatch
		if json.Unmarshal(rec.Value, &b) == nil {
			i, ok = r.attempt(&b.Run)
		}
	case event.TypeShadowFinished, event.TypeShadowDropped:
		if header(rec, "ce_subject") == r.function {
			i.copies, ok = readCopies(rec)
		}
	}
	i.at = rec.Time
	return i, ok
}

func header(r *eventlog.Record, name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return string(h.Value)
		}
	}
	return ""
}

// request reads a request. That the client is at fault, or went away, is not the function's failure.
func request(value []byte) (i invocation, ok bool) {
	var q struct {
		Version  int               `json:"version"`
		Status   int               `json:"status"`
		Outcome  function.Outcome  `json:"outcome"`
		Cold     bool              `json:"cold"`
		Duration function.Duration `json:"duration"`
	}
	if json.Unmarshal(value, &q) != nil || q.Version == 0 {
		return i, false
	}
	i.version = q.Version
	i.failed = q.Outcome != function.Succeeded && (q.Status < http.StatusBadRequest || q.Status >= http.StatusInternalServerError) ||
		q.Status >= http.StatusInternalServerError
	if !i.failed && !q.Cold {
		i.took = q.Duration.Std()
	}
	return i, true
}

// attempt reads the newest attempt of a run. The ones before it have been told of.
func (r *reader) attempt(run *function.Run) (i invocation, ok bool) {
	if run.Function != r.function || len(run.Attempts) == 0 {
		return i, false
	}
	a := run.Attempts[len(run.Attempts)-1]
	i.version, i.failed = a.Version, a.Outcome != function.Succeeded
	if a.Version == 0 || r.told[a.ID] {
		return i, false
	}
	if i.failed || a.Batch > 1 {
		r.told[a.ID] = true
	}
	if !i.failed && !a.Cold {
		i.took = a.Duration.Std()
	}
	return i, true
}

// keptTimes is how many of the newest durations a p95 is of.
const keptTimes = 5000

// tally counts one version's invocations.
type tally struct {
	count, errors int64
	times         []time.Duration // the newest, as a ring
	next          int
}

func (t *tally) add(i invocation) {
	t.count++
	if i.failed {
		t.errors++
	}
	switch {
	case i.took == 0:
	case len(t.times) < keptTimes:
		t.times = append(t.times, i.took)
	default:
		t.times[t.next] = i.took
		t.next = (t.next + 1) % keptTimes
	}
}

// fewestTimes is how many durations a p95 needs: of fewer it would be the longest.
const fewestTimes = 20

func (t *tally) figures() function.RolloutFigures {
	f := function.RolloutFigures{Invocations: t.count, Errors: t.errors}
	if n := len(t.times); n >= fewestTimes {
		sorted := slices.Sorted(slices.Values(t.times))
		f.P95 = function.Duration(sorted[(n*95+99)/100-1])
	}
	return f
}
