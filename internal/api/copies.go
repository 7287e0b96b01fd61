package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Copies is what the API needs of copier.
type Copies interface {
	// Start checks a copy, makes the topic that is copied to where it is not there, and starts it.
	Start(ctx context.Context, one function.Copy) (*catalog.Copy, error)
	// Cancel ends a copy before it is over.
	Cancel(ctx context.Context, name string) error
	// Progress asks the log that is copied to.
	Progress(ctx context.Context, one *catalog.Copy) (wire.CopyProgress, error)
	// Place stores positions of a group in the topic that is copied as positions in the one that it is copied to, and returns those.
	Place(ctx context.Context, one *catalog.Copy, group string, at map[int32]int64) (map[int32]int64, error)
}

// How long a request waits for the log that is copied to.
const (
	copyPatience = 15 * time.Second
	lookPatience = 5 * time.Second // of one that can answer without
)

func (a *API) startCopy(r *http.Request, _ query) (any, error) {
	var req wire.CopyRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if req.Name == "" {
		req.Name = a.copyName(req.From)
	}
	if !validName(req.Name) {
		return nil, fault.New(fault.Invalid, "name: %q is no name for a copy", req.Name).WithHint("small letters, digits and dashes, a letter first, at most 63")
	}
	if req.To == "" {
		req.To = req.From
	}
	for _, topic := range []string{req.From, req.To} {
		if err := checkTopicName(topic); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), copyPatience)
	defer cancel()
	started, err := a.copies.Start(ctx, function.Copy{Name: req.Name, From: req.From, To: req.To, Log: req.Log, Follow: req.Follow})
	if err != nil {
		return nil, err
	}
	return wireCopy(started), nil
}

// copyName makes a name of a topic's and the time.
func (a *API) copyName(topic string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(topic))
	plain = strings.TrimRight("copy-"+plain[:min(len(plain), 32)], "-")
	return plain + "-" + a.now().UTC().Format("20060102-150405")
}

func wireCopy(c *catalog.Copy) wire.Copy {
	out := wire.Copy{Copy: c.Copy, State: wire.CopyRunning, Started: c.Started}
	if e := c.Ended; e != nil {
		out.State, out.Reason, out.Ended = e.State, e.Reason, e.At
	}
	return out
}

func (a *API) listCopies(*http.Request, query) (any, error) {
	list := wire.CopyList{Copies: []wire.Copy{}}
	for _, c := range slices.Backward(a.catalog.View().Copies()) {
		list.Copies = append(list.Copies, wireCopy(c))
	}
	return list, nil
}

func (a *API) getCopy(r *http.Request, _ query) (any, error) {
	c, err := a.catalog.View().Copy(r.PathValue("copy"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookPatience)
	defer cancel()
	out := wireCopy(c)
	switch p, err := a.copies.Progress(ctx, c); {
	case err == nil:
		out.Progress = &p
	case fault.KindOf(err) == fault.Internal:
		return nil, err
	default:
		out.Problem = err.Error()
	}
	return out, nil
}

func (a *API) cancelCopy(r *http.Request, q query) (any, error) {
	if err := a.copies.Cancel(r.Context(), r.PathValue("copy")); err != nil {
		return nil, err
	}
	return a.getCopy(r, q)
}

func (a *API) placeCopy(r *http.Request, _ query) (any, error) {
	var req wire.CopyPositions
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	c, err := a.catalog.View().Copy(r.PathValue("copy"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), copyPatience)
	defer cancel()
	// All are looked at before the first is stored.
	var triggers []*catalog.Trigger
	stand := map[*catalog.Trigger]map[int32]int64{}
	for _, f := range a.catalog.View().Functions() {
		for _, t := range f.Triggers {
			if t.Topic != c.From {
				continue
			}
			if stand[t], err = a.dispatcher.Positions(ctx, t); err != nil {
				return nil, err
			}
			if err := a.finished(ctx, t, stand[t]); err != nil && (!req.Unfinished || fault.KindOf(err) != fault.Conflict) {
				return nil, err
			}
			triggers = append(triggers, t)
		}
	}
	out := wire.CopyPlaced{Copy: c.Name, Triggers: []wire.PlacedPosition{}}
	for _, t := range triggers {
		placed, err := a.copies.Place(ctx, c, function.GroupOf(t.Function, t.Name), stand[t])
		if err != nil {
			return nil, err
		}
		for _, id := range slices.Sorted(maps.Keys(placed)) {
			out.Triggers = append(out.Triggers, wire.PlacedPosition{Function: t.Function, Trigger: t.Name, Partition: id, From: stand[t][id], To: placed[id]})
		}
	}
	return out, nil
}

// finished says, by an error of kind Conflict, when there are events from where a trigger stands. Some behind the first of them may
// be finished, and a position alone cannot tell which.
func (a *API) finished(ctx context.Context, t *catalog.Trigger, at map[int32]int64) error {
	for id, offset := range at {
		rs, err := a.log.Read(ctx, eventlog.Partition{Topic: t.Topic, ID: id}, offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", t.Topic, id, err)
		}
		if len(rs) > 0 {
			return fault.New(fault.Conflict, "trigger %s/%s has events left, the first at %s/%d@%d", t.Function, t.Name, t.Topic, id, rs[0].Offset).
				WithHint("let nobody send to topic %s and wait until they are finished; or say --unfinished, and what is finished behind the first of them runs again there", t.Topic)
		}
	}
	return nil
}
