package console

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	requestsShown = 20
	requestsLook  = 1000 // the newest records of all functions' requests that are looked through: a page comes at once however many there are
)

// request is a call that somebody waited for, as its record tells it.
type request struct {
	Partition int32             `json:"-"`
	Offset    int64             `json:"-"`
	At        time.Time         `json:"-"`
	Function  string            `json:"function"`
	Version   int               `json:"version"`
	Route     string            `json:"route"` // "" = the function was called by its name
	Method    string            `json:"method"`
	Path      string            `json:"path"`
	Status    int               `json:"status"`
	Outcome   function.Outcome  `json:"outcome"`
	Failure   *function.Failure `json:"failure"`
	Duration  function.Duration `json:"duration"`
}

// requestsOf are the newest requests of a function, "" = of all, as far as they are recorded and the visitor may see them.
func requestsOf(ctx context.Context, v *visit, fn string, most int64) ([]request, error) {
	if v.who.Environment != "" {
		return nil, nil // the records are of the whole installation
	}
	q := client.NewestQuery{Topic: function.TopicRequests, Look: requestsLook, Limit: most}
	if fn != "" {
		filter, err := json.Marshal(map[string][]string{"subject": {fn}})
		if err != nil {
			return nil, err
		}
		q.Filter = string(filter)
	}
	found, err := v.NewestEvents(ctx, q)
	if fault.KindOf(err) == fault.Denied {
		return nil, nil
	}
	if err != nil {
		return nil, unlessMissing(err)
	}
	var all []request
	for _, e := range found.Events {
		if one, ok := requestAt(&e); ok {
			all = append(all, one)
		}
	}
	return all, nil
}

func requestAt(e *wire.EventAt) (request, bool) {
	var record struct {
		Data request `json:"data"`
	}
	if json.Unmarshal(e.Event, &record) != nil || record.Data.Function == "" {
		return request{}, false
	}
	r := record.Data
	r.Partition, r.Offset, r.At = e.Partition, e.Offset, e.Time
	return r, true
}

// failed are requests as runs with one attempt, for their errors to be grouped with those of runs.
func failed(requests []request) []function.Run {
	var all []function.Run
	for _, r := range requests {
		if r.Failure == nil {
			continue
		}
		all = append(all, function.Run{
			Event:    function.EventRef{Topic: function.TopicRequests, Partition: r.Partition, Offset: r.Offset},
			Attempts: []function.Attempt{{Outcome: r.Outcome, Start: r.At, Failure: r.Failure}},
		})
	}
	return all
}
