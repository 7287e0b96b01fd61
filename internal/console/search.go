package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	// searchTime bounds one search: what was found by then is shown, and said to be a part.
	searchTime = 3 * time.Second
	// searchFirst is how many offsets of each partition are looked at first, from the end back; each time after that it is searchMore times as many.
	searchFirst = 60
	searchMore  = 8
)

// search finds the newest events that fit. It looks at a stretch before the end of each partition, and at a longer one until there is enough for a page,
// or the stretch begins before the time that is asked for.
func (p *eventsPage) search(ctx context.Context, v *visit, filter string) error {
	since, err := moment("since", p.From, v.now.Add(-24*time.Hour), v.now)
	if err != nil {
		return err
	}
	until, err := moment("until", p.To, v.now.Add(time.Hour), v.now) // clocks differ
	if err != nil {
		return err
	}
	t, err := v.Client.Topic(ctx, p.Topic)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	found := make([]stretchFound, len(t.Bounds))
	for window := int64(searchFirst); ; window *= searchMore {
		whole, total := true, 0
		for i, b := range t.Bounds {
			if err := found[i].look(limited, v, p.Topic, b, window, filter, since, until); err != nil && limited.Err() == nil {
				return err
			}
			whole = whole && found[i].whole
			total += found[i].count
		}
		if !whole && limited.Err() != nil && ctx.Err() == nil {
			p.Cut = fmt.Sprintf("The search ended after %s, before it had gone back to %s: older events may fit, too.", long(searchTime), when(since))
		}
		if whole || total >= maxRows || limited.Err() != nil {
			break
		}
	}
	for _, f := range found {
		p.Found += f.count
		p.Rows = append(p.Rows, f.rows...)
	}
	slices.SortStableFunc(p.Rows, newerFirst)
	p.Rows = p.Rows[:min(len(p.Rows), maxRows)]
	return ctx.Err()
}

// moment reads one end of a search; "" = the usual one.
func moment(name, text string, usual, now time.Time) (time.Time, error) {
	if text == "" {
		return usual, nil
	}
	at, ok := function.ParseMoment(text, now)
	if !ok {
		return at, fault.New(fault.Invalid, "%s: %q is no time", name, cut(60, text)).WithHint("earliest is the begin of the topic, latest its end; %s", function.TimeForms)
	}
	return at, nil
}

// stretchFound is what was found in a stretch at the end of one partition.
type stretchFound struct {
	rows  []eventRow // the newest
	count int        // of all that fit
	whole bool       // there is nothing older to look at
}

// look looks at a stretch. What was found before stays when that does not come to an end: it is the newer part.
func (f *stretchFound) look(ctx context.Context, v *visit, topic string, b wire.Partition, window int64, filter string, since, until time.Time) error {
	if f.whole {
		return nil
	}
	next := stretchFound{}
	from := max(b.Start, b.End-window)
	if next.whole = from == b.Start; !next.whole {
		oldest, err := v.Client.Event(ctx, topic, b.ID, from)
		if err = unlessMissing(err); err != nil { // not every offset holds an event
			return err
		}
		next.whole = !oldest.Time.IsZero() && oldest.Time.Before(since)
	}
	for e, err := range v.Client.Events(ctx, client.EventQuery{Topic: topic, Partition: &b.ID, From: strconv.FormatInt(from, 10), Filter: filter}) {
		if err != nil {
			return err
		}
		if e.Time.Before(since) || e.Time.After(until) {
			continue
		}
		if next.count++; len(next.rows) == 2*maxRows {
			next.rows = append(next.rows[:0], next.rows[maxRows:]...)
		}
		next.rows = append(next.rows, rowOf(&e))
	}
	*f = next
	return nil
}
