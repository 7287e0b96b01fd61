package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/match"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	// maxIDs bounds one call that names dead letters; for more there are selections.
	maxIDs = 1000
	// maxPages bounds the pages of history that one page of a filtered list reads.
	maxPages = 20
)

func (a *API) listDead(_ *http.Request, q query) (any, error) {
	hq, err := a.historyQuery(q)
	if err != nil {
		return nil, err
	}
	pattern, err := parsePattern("query parameter \"pattern\"", []byte(q.text("pattern")))
	if err != nil {
		return nil, err
	}
	list := wire.DeadList{DeadLetters: []function.DeadLetter{}}
	for range maxPages {
		want := hq.Limit - len(list.DeadLetters)
		page, err := a.history.DeadLetters(withLimit(hq, want))
		if err != nil {
			return nil, err
		}
		for _, d := range page.Rows {
			if matches(pattern, d) && d.Says(q.text("error")) {
				list.DeadLetters = append(list.DeadLetters, *d)
			}
		}
		list.Next, hq.After = page.Next, page.Next
		if page.Next == "" || len(list.DeadLetters) == hq.Limit {
			break
		}
	}
	return list, nil
}

func withLimit(q history.Query, limit int) history.Query {
	q.Limit = limit
	return q
}

// matches holds a pattern against the event that a dead letter keeps.
func matches(p *match.Pattern, d *function.DeadLetter) bool {
	if p == nil {
		return true
	}
	ok, err := p.MatchJSON(d.Event)
	return err == nil && ok
}

func (a *API) getDead(r *http.Request, _ query) (any, error) {
	d, err := a.withData(r.Context(), r.PathValue("run"))
	if err != nil {
		return nil, err
	}
	return d, nil
}

// deadLetter is the one whose id is, or begins with, what is given; one of a function that who asks does not see is not there.
func (a *API) deadLetter(ctx context.Context, begin string) (*function.DeadLetter, error) {
	id, err := wholeID(ctx, begin, a.history.DeadLetterID)
	if err != nil {
		return nil, err
	}
	d, err := a.history.DeadLetter(id)
	if err == nil && !access.From(ctx).Sees(d.Run.Function) {
		return nil, unseen()
	}
	return d, err
}

// withData is deadLetter with the data of an event that is sealed.
func (a *API) withData(ctx context.Context, begin string) (*function.DeadLetter, error) {
	d, err := a.deadLetter(ctx, begin)
	if err != nil {
		return nil, err
	}
	return a.history.WholeDeadLetter(ctx, d.Run.ID)
}

func (a *API) redrive(r *http.Request, _ query) (any, error) {
	var req wire.Redrive
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if req.Function != "" && !access.From(r.Context()).Sees(req.Function) {
		return nil, unseen() // ahead of what looks for its versions
	}
	if err := a.checkRedrive(r.Context(), &req); err != nil {
		return nil, err
	}
	if err := a.mayRedrive(r.Context(), &req); err != nil {
		return nil, err
	}
	a.seen(r.Context())
	selected, err := a.selected(r.Context(), &req)
	if err != nil {
		return nil, err
	}
	if selected == 0 {
		return nil, a.nothingSelected(&req)
	}
	job, err := a.dispatcher.Redrive(r.Context(), Redrive{
		IDs: req.IDs, Function: req.Function, Trigger: req.Trigger, Pattern: req.Pattern,
		Before: req.Before, After: req.After, Rate: req.Rate,
		Error: req.Error, Version: req.Version,
	})
	if err != nil {
		return nil, err
	}
	return wire.RedriveStarted{Job: job, Selected: selected}, nil
}

// selected counts the dead letters that a redrive is about, as far as the history is.
func (a *API) selected(ctx context.Context, req *wire.Redrive) (int, error) {
	if len(req.IDs) > 0 {
		ids := slices.Clone(req.IDs)
		slices.Sort(ids)
		return len(slices.Compact(ids)), nil
	}
	pattern, err := parsePattern("pattern", req.Pattern)
	if err != nil {
		return 0, err
	}
	n := 0
	for q := (history.Query{Function: req.Function, Trigger: req.Trigger, Limit: history.MaxLimit}); ; {
		page, err := a.history.DeadLetters(q)
		if err != nil {
			return 0, err
		}
		for _, d := range page.Rows {
			died := d.Run.Finished
			if (req.Before.IsZero() || died.Before(req.Before)) && (req.After.IsZero() || !died.Before(req.After)) && matches(pattern, d) && d.Says(req.Error) {
				n++
			}
		}
		if q.After = page.Next; q.After == "" || ctx.Err() != nil {
			return n, ctx.Err()
		}
	}
}

// nothingSelected says why: the function may be none at all. One that is gone still has its dead letters.
func (a *API) nothingSelected(req *wire.Redrive) error {
	if _, unknown := a.catalog.View().Function(req.Function); unknown != nil && req.Function != "" {
		page, err := a.history.DeadLetters(history.Query{Function: req.Function, Limit: 1})
		if err != nil {
			return err
		}
		if len(page.Rows) == 0 {
			return unknown
		}
	}
	return fault.New(fault.NotFound, "no dead letter is selected").WithHint("`dalamb dlq` (GET /v1/dead) shows which there are")
}

func (a *API) checkRedrive(ctx context.Context, req *wire.Redrive) error {
	selects := req.Error != "" || req.Function != "" || req.Trigger != "" || len(req.Pattern) > 0 || !req.Before.IsZero() || !req.After.IsZero()
	switch {
	case len(req.IDs) > 0 && (selects || req.All):
		return fault.New(fault.Invalid, "ids cannot be combined with function, trigger, pattern, error, before, after or all").WithHint("name dead letters, or select them")
	case len(req.IDs) == 0 && !selects && !req.All:
		return fault.New(fault.Invalid, "nothing selects a dead letter").WithHint("give ids, function, trigger, pattern, error, before or after; or all: true for every one")
	case math.IsNaN(req.Rate) || req.Rate < 0 || req.Rate > 1e6:
		return fault.New(fault.Invalid, "rate: %v is not a number of runs per second from 0 to 1000000", req.Rate)
	}
	if _, err := parsePattern("pattern", req.Pattern); err != nil {
		return err
	}
	if err := a.checkIDs(ctx, req.IDs); err != nil {
		return err
	}
	return a.checkVersion(ctx, req)
}

// checkIDs refuses a list in which one is not there: a slip of the pen shall not look like success. Each that only begins an id becomes the whole of it.
func (a *API) checkIDs(ctx context.Context, ids []string) error {
	if len(ids) > maxIDs {
		return fault.New(fault.Invalid, "ids: %d are more than %d at once", len(ids), maxIDs).WithHint("select them by function, trigger, pattern or time")
	}
	for i := range ids {
		d, err := a.deadLetter(ctx, ids[i])
		if err != nil {
			return err
		}
		ids[i] = d.Run.ID
	}
	return nil
}

func (a *API) discard(r *http.Request, _ query) (any, error) {
	var req wire.Discard
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if len(req.IDs) == 0 {
		return nil, fault.New(fault.Invalid, "ids: none are given").WithHint("name the dead letters to discard")
	}
	if err := a.checkIDs(r.Context(), req.IDs); err != nil {
		return nil, err
	}
	slices.Sort(req.IDs)
	req.IDs = slices.Compact(req.IDs)
	if err := a.mayOperate(r.Context(), req.IDs); err != nil {
		return nil, err
	}
	if req.Reason == "" {
		req.Reason = "discarded"
	}
	if err := a.dispatcher.Discard(r.Context(), req.IDs, req.Reason); err != nil {
		return nil, err
	}
	a.seen(r.Context())
	return wire.Discarded{Discarded: len(req.IDs)}, nil
}

// seenTimeout bounds how long an answer waits for the history to show what it has done.
const seenTimeout = 2 * time.Second

// seen lets the next look at the history show what this call has done. Done it is in any case, so a history that lags is no error.
func (a *API) seen(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	_ = a.history.CatchUp(ctx)
}

// checkVersion refuses a version that a function does not have. A version is of one function, so that one has to be said.
func (a *API) checkVersion(ctx context.Context, req *wire.Redrive) error {
	if req.Version == 0 {
		return nil
	}
	functions := map[string]bool{}
	if req.Function != "" {
		functions[req.Function] = true
	}
	for _, id := range req.IDs {
		d, err := a.deadLetter(ctx, id)
		if err != nil {
			return err
		}
		functions[d.Run.Function] = true
	}
	if len(functions) == 0 {
		return fault.New(fault.Invalid, "version: it is not said of which function").WithHint("select by function too")
	}
	for fn := range functions {
		if _, err := a.catalog.View().VersionNumber(fn, req.Version); err != nil {
			return err
		}
	}
	return nil
}

func (a *API) getRedrive(r *http.Request, _ query) (any, error) {
	return a.dispatcher.RedriveState(r.Context(), r.PathValue("job"))
}

// completed lets an edited event take over from the original what it does not say itself. What it says to be null is left out.
func completed(edited, original json.RawMessage) (json.RawMessage, error) {
	var e, o map[string]json.RawMessage
	if err := json.Unmarshal(edited, &e); err != nil || e == nil {
		return nil, fault.New(fault.Invalid, "event: it is not a JSON object").WithHint(`give what is to change: {"data": ...}, or all of a structured CloudEvent`)
	}
	if err := json.Unmarshal(original, &o); err != nil {
		return nil, fmt.Errorf("decode the event of the dead letter: %w", err)
	}
	_, data := e["data"]
	_, binary := e["data_base64"]
	if data || binary {
		delete(o, "data")
		delete(o, "data_base64")
	}
	for name, value := range o {
		if _, ok := e[name]; !ok {
			e[name] = value
		}
	}
	maps.DeleteFunc(e, func(name string, value json.RawMessage) bool { return string(value) == "null" && name != "data" })
	return json.Marshal(e)
}

// editDead runs a dead letter again with another event.
func (a *API) editDead(r *http.Request, _ query) (any, error) {
	var req wire.DeadEdit
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	d, err := a.withData(r.Context(), r.PathValue("run"))
	if err != nil {
		return nil, err
	}
	if err := access.From(r.Context()).Over(access.Operate, d.Run.Function); err != nil {
		return nil, err
	}
	if req.Version != 0 {
		if _, err := a.catalog.View().VersionNumber(d.Run.Function, req.Version); err != nil {
			return nil, err
		}
	}
	if req.Event, err = completed(req.Event, d.Event); err != nil {
		return nil, err
	}
	e := new(event.Event)
	if err := json.Unmarshal(req.Event, e); err != nil {
		return nil, fault.New(fault.Invalid, "event: %w", err)
	}
	if err := e.Validate(); err != nil {
		return nil, fault.New(fault.Invalid, "event: %w", err)
	}
	if event.Reserved(e.Type) && e.Type != d.Run.Event.Type { // a foreign record or a tick stays what it is
		return nil, fault.New(fault.Denied, "event: only dalamb writes events of type %s", e.Type).WithHint("leave out the type: it stays as it was")
	}
	if len(req.Event) > a.maxEvent {
		return nil, fault.New(fault.TooLarge, "event: %d bytes, and an event has at most %d", len(req.Event), a.maxEvent)
	}
	id, err := a.dispatcher.Edit(r.Context(), d.Run.ID, e, req.Version)
	return wire.DeadEdited{Event: id}, err
}
