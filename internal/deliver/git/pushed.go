package git

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Pushed is the data of event.TypeGitPushed: what an accepted push did to one ref.
type Pushed struct {
	Repository string           `json:"repository"`
	Ref        string           `json:"ref"`
	Branch     string           `json:"branch,omitempty"` // "" = the ref is a tag
	Tag        string           `json:"tag,omitempty"`
	Before     string           `json:"before,omitempty"`  // object id; absent = the ref is new
	After      string           `json:"after,omitempty"`   // absent = the ref is deleted
	Forced     bool             `json:"forced"`            // commits of before are not in after
	Commit     *commit          `json:"commit,omitempty"`  // of a branch
	Pusher     string           `json:"pusher,omitempty"`  // the user name that was given beside the token
	Functions  []PushedFunction `json:"functions"`         // that the push was delivered to
	Removed    []goneAlias      `json:"removed,omitempty"` // aliases that the push took away
}

// PushedFunction is a function that a push was delivered to.
type PushedFunction struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Alias   string `json:"alias"`
	Created bool   `json:"created"`         // false: the content and settings were there
	Build   string `json:"build,omitempty"` // id of the build that the push had made of it; absent = it is not built
}

// tellLog appends what the push did, as one event for each ref, in the order of the repository. It comes before the refs move: what a
// client is told to be accepted is in the log. A push that was told, and whose refs did not move, is not told again.
func (s *Server) tellLog(ctx context.Context, p *push, changes []*change) error {
	var events []*event.Event
	for _, c := range changes {
		e, err := p.event(c)
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	now, err := s.whereTold(ctx, p.repository)
	if err == nil {
		var records []eventlog.Record
		if records, err = s.untold(ctx, p, changes, events, now); err == nil && len(records) > 0 {
			_, err = s.log.Append(ctx, records)
		}
	}
	if fault.KindOf(err) == fault.NotFound {
		p.say("warning: there is no topic %q, so nobody is told of this push", function.TopicEvents)
		return nil
	}
	if err != nil {
		return fmt.Errorf("append %s: %w", event.TypeGitPushed, err)
	}
	return nil
}

// untold notes the steps of a push, and gives their events the ids of these; those that the log has already are left out.
func (s *Server) untold(ctx context.Context, p *push, changes []*change, events []*event.Event, now step) (records []eventlog.Record, err error) {
	steps, again, err := s.noteSteps(ctx, p, changes, now)
	if err != nil {
		return nil, err
	}
	for i, e := range events {
		told := false
		if again[i] {
			if told, err = s.isTold(ctx, steps[i], now); err != nil {
				return nil, err
			}
		}
		if e.ID = steps[i].ID; !told {
			records = append(records, eventlog.FromEvent(function.TopicEvents, e))
		}
	}
	return records, nil
}

// event is what the push did to one ref; its id is the step's.
func (p *push) event(c *change) (*event.Event, error) {
	d := Pushed{
		Repository: p.repository, Ref: oneLine(c.update.ref), Branch: oneLine(c.branch), Before: c.update.old, After: c.update.new, Forced: c.forced, Pusher: p.pusher,
		Functions: []PushedFunction{},
	}
	if tag, ok := strings.CutPrefix(c.update.ref, "refs/tags/"); ok {
		d.Tag = oneLine(tag)
	}
	if c.commit.ID != "" {
		d.Commit = &c.commit
	}
	for _, f := range c.functions {
		d.Functions = append(d.Functions, PushedFunction{Name: f.made.Function, Version: f.made.Version, Alias: f.made.Alias, Created: f.made.Created, Build: f.build})
	}
	p.made = append(p.made, d.Functions...)
	for _, g := range c.gone {
		if g.removed {
			d.Removed = append(d.Removed, g)
		}
	}
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", event.TypeGitPushed, err)
	}
	source := "/dalamb/git/" + p.repository
	if p.remote != nil {
		source = "/dalamb/hooks/" + p.remote.Hook
	}
	return &event.Event{
		Source: source, Type: event.TypeGitPushed, Subject: d.Ref, Time: p.server.now(),
		Extensions: map[string]any{event.ExtPartitionKey: p.repository}, DataContentType: "application/json", Data: data,
	}, nil
}
