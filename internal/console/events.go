package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// eventsPage lists the newest events of a topic, or of those that fit.
type eventsPage struct {
	Topics                   []wire.Topic
	Topic, From, To, Pattern string
	ID, Key, Type, Source    string
	Searched                 bool
	Rows                     []eventRow
	Older                    string // the address of the next page; "" = there are no more
	Cut                      string // why a search did not look at everything
	Problem, Hint            string
}

// eventRow is an event in a list.
type eventRow struct {
	Topic     string
	Partition int32
	Offset    int64
	At        time.Time
	Event     eventHead
	Preview   string // the begin of its data
	Record    bool   // it is no event
}

// eventHead is what a list shows of an event.
type eventHead struct {
	ID            string          `json:"id"`
	Type          string          `json:"type"`
	Source        string          `json:"source"`
	Subject       string          `json:"subject"`
	Time          time.Time       `json:"time"`
	Key           string          `json:"partitionkey"`
	CausationID   string          `json:"causationid"`
	CorrelationID string          `json:"correlationid"`
	Sealed        string          `json:"dalambsealed"` // why it has no data; "" = it was not sealed, or can be opened
	Data          json.RawMessage `json:"data"`
}

func (c *Console) events(v *visit) (frame, error) {
	p := eventsPage{
		Topic: v.query("topic"), From: v.query("from"), To: v.query("to"), Pattern: v.query("pattern"),
		ID: v.query("id"), Key: v.query("key"), Type: v.query("type"), Source: v.query("source"),
	}
	if p.Topic == "" {
		p.Topic = function.Full(v.who.Environment, function.TopicEvents)
	}
	ctx := v.r.Context()
	var err error
	if p.Topics, err = v.Client.Topics(ctx); err != nil {
		return frame{}, err
	}
	f := frame{Page: "events", Title: "Events", Nav: "events"}
	if p.ID != "" && p.Pattern+p.Key+p.Type+p.Source+p.From+p.To == "" {
		if at, err := placeOf(ctx, v, p.ID); err != nil {
			return frame{}, err
		} else if at != nil {
			http.Redirect(v.w, v.r, href("events", at.Topic, at.Partition, at.Offset), http.StatusSeeOther)
			return frame{}, nil
		}
	}
	older := v.query("older")
	filter, err := p.filter()
	if err == nil {
		p.Searched = filter != "" || p.Key+p.From+p.To != ""
		f.Live = !p.Searched && older == ""
		err = p.newest(ctx, v, client.NewestQuery{Topic: p.Topic, Key: p.Key, Filter: filter, Older: older, Limit: maxRows / 2})
	}
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		return frame{}, err
	default:
		if err != nil {
			p.Problem, p.Hint = err.Error(), fault.HintOf(err)
		}
	}
	f.Body = p
	return f, nil
}

// placeOf finds an event by its id, where some trigger wanted it; nil = none has.
func placeOf(ctx context.Context, v *visit, id string) (*function.EventRef, error) {
	page, err := v.Client.Runs(ctx, client.RunQuery{Event: id, Limit: 2})
	if err != nil {
		return nil, err
	}
	for _, r := range page.Runs {
		if r.Event.Topic != "" {
			return &r.Event, nil
		}
	}
	return nil, nil
}

// filter makes one pattern of what the form has.
func (p *eventsPage) filter() (string, error) {
	pattern := map[string]any{}
	if p.Pattern != "" {
		err := json.Unmarshal([]byte(p.Pattern), &pattern)
		if err == nil && pattern == nil {
			err = errors.New("it is null")
		}
		if err != nil {
			return "", fault.New(fault.Invalid, "the pattern is no JSON object: %w", err).WithHint(`such as {"type":["order.created"],"data":{"total":[{"numeric":[">",100]}]}}`)
		}
	}
	for name, value := range map[string]string{"id": p.ID, "type": p.Type, "source": p.Source} {
		if value == "" {
			continue
		}
		if _, twice := pattern[name]; twice {
			return "", fault.New(fault.Invalid, "the pattern names %s, and so does the field of that name", name).WithHint("leave one of them empty")
		}
		pattern[name] = []any{value}
		if begin, ok := strings.CutSuffix(value, "*"); ok {
			pattern[name] = []any{map[string]string{"prefix": begin}}
		}
	}
	if len(pattern) == 0 {
		return "", nil
	}
	text, err := json.Marshal(pattern)
	return string(text), err
}

// newest is a page of the newest events that fit. A search goes back to the time that is asked for, else for a day, and ends early where that takes long.
func (p *eventsPage) newest(ctx context.Context, v *visit, q client.NewestQuery) error {
	from, to := unclocked(p.From, v.now), unclocked(p.To, v.now)
	since, err := moment("since", from, v.now)
	if err == nil {
		_, err = moment("until", to, v.now)
	}
	if err != nil {
		return err
	}
	if q.Since, q.Before = from, to; p.Searched && p.From == "" {
		since = v.now.Add(-24 * time.Hour)
		q.Since = since.Format(time.RFC3339Nano)
	}
	found, err := v.Client.NewestEvents(ctx, q)
	if err != nil {
		return err
	}
	for i := range found.Events {
		p.Rows = append(p.Rows, rowOf(&found.Events[i]))
	}
	if found.Older != "" {
		p.Older = href("events", "?", "topic", p.Topic, "from", p.From, "to", p.To, "type", p.Type, "key", p.Key, "id", p.ID, "source", p.Source, "pattern", p.Pattern, "older", found.Older)
	}
	switch cut := p.Searched && !found.Whole && int64(len(p.Rows)) < q.Limit; {
	case cut && found.Since.IsZero():
		p.Cut = "The search ended before it had looked into every partition: newer events may fit, too."
	case cut:
		p.Cut = fmt.Sprintf("The search ended at %s, before it had gone back to %s: older events may fit, too.", when(found.Since), when(since))
	}
	return nil
}

// moment reads one end of a search; "" is none.
func moment(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, ok := function.ParseMoment(text, now)
	if !ok {
		return at, fault.New(fault.Invalid, "%s: %q is no time", name, cut(60, text)).WithHint("earliest is the begin of the topic, latest its end; %s", clockForms)
	}
	return at, nil
}

// rowOf keeps what a list shows; an event may have a megabyte.
func rowOf(e *wire.EventAt) eventRow {
	row := eventRow{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset, At: e.Time, Record: e.Event == nil}
	if row.Record {
		row.Event.Key, row.Preview = cut(80, string(e.Key)), cut(160, string(e.Value[:min(len(e.Value), 400)]))
		return row
	}
	if json.Unmarshal(e.Event, &row.Event) == nil {
		row.Preview = cut(160, compact(row.Event.Data[:min(len(row.Event.Data), 400)]))
		row.Event.Data = nil
		row.Event.Key = cmp.Or(row.Event.Key, row.Event.Subject) // as the log takes it
	}
	return row
}
