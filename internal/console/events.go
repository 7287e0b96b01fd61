package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
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
	Older                    string // the places to go on below; "" = there are no more
	Cut                      string // why a search did not look at everything
	Found                    int
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
	Data          json.RawMessage `json:"data"`
}

func (c *Console) events(v *visit) (frame, error) {
	p := eventsPage{
		Topic: v.query("topic"), From: v.query("from"), To: v.query("to"), Pattern: v.query("pattern"),
		ID: v.query("id"), Key: v.query("key"), Type: v.query("type"), Source: v.query("source"),
	}
	if p.Topic == "" {
		p.Topic = function.TopicEvents
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
	filter, err := p.filter()
	if err == nil {
		p.Searched = filter != "" || p.From+p.To != ""
		if p.Searched {
			err = p.search(ctx, v, filter)
		} else {
			err = p.newest(ctx, v)
			f.Live = v.query("before") == ""
		}
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
	if p.Key != "" {
		if _, twice := pattern["$or"]; twice {
			return "", fault.New(fault.Invalid, "a pattern with $or and a key cannot be searched together").WithHint("put the key into the pattern: partitionkey or subject")
		}
		// CloudEvents' partitionkey, else the subject: what the log takes as the key.
		pattern["$or"] = []any{
			map[string]any{"partitionkey": []string{p.Key}},
			map[string]any{"subject": []string{p.Key}, "partitionkey": []any{map[string]bool{"exists": false}}},
		}
	}
	if len(pattern) == 0 {
		return "", nil
	}
	text, err := json.Marshal(pattern)
	return string(text), err
}

func newerFirst(a, b eventRow) int { return b.At.Compare(a.At) }

// newest reads the ends of all partitions, or what is below the places that the address has.
func (p *eventsPage) newest(ctx context.Context, v *visit) error {
	t, err := v.Client.Topic(ctx, p.Topic)
	if err != nil {
		return err
	}
	below := places(v.query("before"), t.Bounds)
	each := int64(max(5, min(maxRows/2, 2000/max(1, len(t.Bounds)))))
	for i, b := range t.Bounds {
		from := max(b.Start, below[i]-each)
		if from >= below[i] {
			continue
		}
		for e, err := range v.Client.Events(ctx, client.EventQuery{Topic: p.Topic, Partition: &b.ID, From: strconv.FormatInt(from, 10), Limit: below[i] - from}) {
			if err != nil {
				return err
			}
			if e.Offset >= below[i] {
				break
			}
			p.Rows = append(p.Rows, rowOf(&e))
		}
	}
	slices.SortStableFunc(p.Rows, newerFirst)
	p.Rows = p.Rows[:min(len(p.Rows), maxRows/2)]
	p.Older = olderThan(p.Rows, below, t.Bounds)
	return nil
}

// places are the offsets, one for each partition, below which a page begins; those of the end where the address says nothing that is right.
func places(text string, bounds []wire.Partition) []int64 {
	at := make([]int64, len(bounds))
	for i, b := range bounds {
		at[i] = b.End
	}
	parts := strings.Split(text, ".")
	if len(parts) != len(bounds) {
		return at
	}
	for i, part := range parts {
		if n, err := strconv.ParseInt(part, 10, 64); err == nil && n >= 0 && n < at[i] {
			at[i] = n
		}
	}
	return at
}

// olderThan are the places below the rows of a page.
func olderThan(rows []eventRow, below []int64, bounds []wire.Partition) string {
	next := slices.Clone(below)
	for _, r := range rows {
		for i, b := range bounds {
			if b.ID == r.Partition {
				next[i] = min(next[i], r.Offset)
			}
		}
	}
	more := false
	words := make([]string, len(next))
	for i, n := range next {
		more = more || n > bounds[i].Start
		words[i] = strconv.FormatInt(n, 10)
	}
	if !more || len(rows) == 0 {
		return ""
	}
	return strings.Join(words, ".")
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
	}
	return row
}
