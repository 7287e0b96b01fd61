package dispatch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// letter is a dead letter that stands in the log, without its bytes.
type letter struct {
	id   string
	died time.Time // as the log took it
	at   eventlog.Position
}

// deadLetters lists the dead letters that keep picks, oldest first.
func (d *Dispatcher) deadLetters(ctx context.Context, keep func(id string, dl *function.DeadLetter) bool) ([]letter, error) {
	topic, err := d.topics.refresh(ctx, function.TopicDead)
	if err != nil {
		return nil, err
	}
	found := map[string]letter{}
	for id := range topic.Partitions {
		if err := d.scanDead(ctx, eventlog.Partition{Topic: topic.Name, ID: id}, keep, found); err != nil {
			return nil, err
		}
	}
	all := make([]letter, 0, len(found))
	for _, l := range found {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b letter) int { return a.compare(b.died, b.id) })
	return all, nil
}

func (l letter) compare(died time.Time, id string) int {
	return cmp.Or(l.died.Compare(died), cmp.Compare(l.id, id))
}

func (d *Dispatcher) scanDead(
	ctx context.Context, p eventlog.Partition, keep func(string, *function.DeadLetter) bool, found map[string]letter,
) error {
	_, err := eventlog.ReadAll(ctx, d.log, p, func(r *eventlog.Record) error {
		id := string(r.Key)
		delete(found, id)
		var dl function.DeadLetter
		if r.Value != nil && json.Unmarshal(r.Value, &dl) == nil && keep(id, &dl) {
			at := eventlog.Position{Topic: p.Topic, Partition: p.ID, Offset: r.Offset}
			found[id] = letter{id: id, died: r.Time, at: at}
		}
		return nil
	})
	return err
}

// readDead reads a dead letter, and by which key it is sealed. It is nil when it is not there any more, or was forgotten.
func (d *Dispatcher) readDead(ctx context.Context, l letter) (*function.DeadLetter, *eventlog.Seal, error) {
	p := eventlog.Partition{Topic: l.at.Topic, ID: l.at.Partition}
	rs, err := d.log.Read(ctx, p, l.at.Offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return nil, nil, fmt.Errorf("read dead letter %s: %w", l.id, err)
	}
	if len(rs) == 0 || rs[0].Offset != l.at.Offset || string(rs[0].Key) != l.id || rs[0].Lost() {
		return nil, nil, nil
	}
	dl := new(function.DeadLetter)
	if err := json.Unmarshal(rs[0].Value, dl); err != nil {
		return nil, nil, fmt.Errorf("decode dead letter %s: %w", l.id, err)
	}
	if by := event.SealIn(rs[0].Headers); by != "" {
		return dl, &eventlog.Seal{By: by}, nil
	}
	return dl, nil, nil
}

// Discard gives dead letters up: they are gone, and why is in the log. It returns how many there were; NotFound when none of
// the ids is a dead letter.
func (d *Dispatcher) Discard(ctx context.Context, ids []string, reason string) (int, error) {
	if len(ids) == 0 {
		return 0, fault.New(fault.Invalid, "discard needs the id of a dead letter").WithHint("dalamb dlq ls lists them")
	}
	letters, err := d.deadLetters(ctx, func(id string, _ *function.DeadLetter) bool { return slices.Contains(ids, id) })
	if err != nil {
		return 0, err
	}
	if len(letters) == 0 {
		return 0, fault.New(fault.NotFound, "there is no dead letter %s", ids[0]).WithHint("dalamb dlq ls lists them")
	}
	if reason == "" {
		reason = "discarded"
	}
	var records []eventlog.Record
	for _, l := range letters {
		rs, err := resolved(l.id, reason, "", d.now())
		if err != nil {
			return 0, err
		}
		records = append(records, rs...)
	}
	if _, err := d.log.Append(ctx, records); err != nil {
		return 0, fmt.Errorf("discard dead letters: %w", err)
	}
	return len(letters), nil
}
