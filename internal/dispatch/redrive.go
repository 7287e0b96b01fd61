package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// RedriveRequest says which dead letters are run again; what is not set does not matter. It is the data of a
// redrive.requested event in _dalamb.jobs.
type RedriveRequest struct {
	IDs      []string        `json:"ids,omitempty"`
	Function string          `json:"function,omitempty"`
	Trigger  string          `json:"trigger,omitempty"`
	Pattern  json.RawMessage `json:"pattern,omitempty"` // of the events, in their structured form
	Before   time.Time       `json:"before,omitzero"`   // of the run's death
	After    time.Time       `json:"after,omitzero"`
	Error    string          `json:"error,omitempty"`   // in the last error
	Version  int             `json:"version,omitempty"` // to run; 0 = by the live alias
	Rate     float64         `json:"rate,omitempty"`    // a second; 0 = as fast as it goes
}

// RedriveFinished is the data of a redrive.finished event in _dalamb.jobs.
type RedriveFinished struct {
	Job   string `json:"job"`
	Count int    `json:"count"` // dead letters that were asked to run again
}

// Redrive asks for dead letters to be run again, each for its own trigger alone. It returns the job's id when the request is
// durable; whoever owns the jobs carries it out. Dead letters that come after the request are not meant by it.
func (d *Dispatcher) Redrive(ctx context.Context, r RedriveRequest) (job string, err error) {
	if _, err := r.picker(); err != nil {
		return "", err
	}
	if r.Rate < 0 || math.IsNaN(r.Rate) || math.IsInf(r.Rate, 0) {
		return "", fault.New(fault.Invalid, "rate %v: want dead letters a second, or 0 for no bound", r.Rate)
	}
	job = event.NewID()
	e, err := statement(event.TypeRedriveRequested, job, job, r, d.now())
	if err != nil {
		return "", err
	}
	if _, err := d.log.Append(ctx, one(byKey(function.TopicJobs, e))); err != nil {
		return "", fmt.Errorf("request a redrive: %w", err)
	}
	return job, nil
}

// picker returns what decides whether a dead letter is meant.
func (r RedriveRequest) picker() (func(id string, dl *function.DeadLetter) bool, error) {
	var pattern *match.Pattern
	if len(r.Pattern) > 0 {
		p, err := match.Parse(r.Pattern)
		if err != nil {
			return nil, fault.New(fault.Invalid, "pattern: %w", err)
		}
		pattern = p
	}
	return func(id string, dl *function.DeadLetter) bool {
		run := &dl.Run
		switch {
		case len(r.IDs) > 0 && !slices.Contains(r.IDs, id),
			r.Function != "" && run.Function != r.Function,
			r.Trigger != "" && run.Trigger != r.Trigger,
			!r.Before.IsZero() && !run.Finished.Before(r.Before),
			!r.After.IsZero() && run.Finished.Before(r.After),
			r.Error != "" && !dl.Says(r.Error):
			return false
		case pattern == nil:
			return true
		}
		ok, err := pattern.MatchJSON(dl.Event)
		return ok && err == nil
	}, nil
}

// again makes the event that asks for a dead letter to be run again.
func again(job, id string, version int, dl *function.DeadLetter, now time.Time) (*event.Event, error) {
	r := function.InvokeRequest{}
	var cause event.Event
	if err := json.Unmarshal(dl.Event, &cause); err != nil {
		return nil, fmt.Errorf("decode the event of dead letter %s: %w", id, err)
	}
	if cause.Type == event.TypeInvokeRequested {
		// What died was an asynchronous call: it is made again as it was.
		if err := json.Unmarshal(cause.Data, &r); err != nil {
			return nil, fmt.Errorf("decode the call of dead letter %s: %w", id, err)
		}
	} else {
		r.Event, r.Trigger = dl.Event, dl.Run.Trigger
	}
	origin := dl.Run.Event
	r.Function, r.RedriveOf, r.Origin, r.Attempts = dl.Run.Function, id, &origin, dl.Run.Attempts
	r.Version = version
	return statement(event.TypeInvokeRequested, derivedID(job, id, 0), r.Function, r, now)
}
