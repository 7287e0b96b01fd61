package dispatch

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// delayedRecord is an event that waits long for its next attempt, kept in _dalamb.delayed so that the retention of its own topic
// cannot take it before its turn. Its key is "p/TOPICID/PARTITION/TRIGGER/OFFSET"; it stands in the partition of the same number as
// its own. It commits with the attempt that failed and is taken away with the end of the run.
type delayedRecord struct {
	due      time.Time
	appended time.Time // to its own topic
	event    *event.Event
}

func (r delayedRecord) encode() ([]byte, error) {
	b := append(make([]byte, 0, 512), progressFormat)
	b = binary.AppendUvarint(b, uint64(max(0, r.due.UnixMilli())))
	b = binary.AppendUvarint(b, uint64(max(0, r.appended.UnixMilli())))
	e, err := json.Marshal(r.event)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", r.event.ID, err)
	}
	return append(b, e...), nil
}

func decodeDelayed(value []byte) (delayedRecord, error) {
	d := newProgressReader(value)
	r := delayedRecord{due: time.UnixMilli(d.number()), appended: time.UnixMilli(d.number()), event: new(event.Event)}
	rest := d.rest()
	if d.err != nil {
		return delayedRecord{}, d.err
	}
	if err := json.Unmarshal(rest, r.event); err != nil {
		return delayedRecord{}, fmt.Errorf("decode the event: %w", err)
	}
	return r, nil
}

// delayed is the key of an event that waits long.
func (k progressKeys) delayed(trigger, offset int64) string {
	return k.delayedPrefix() + strconv.FormatInt(trigger, 10) + "/" + strconv.FormatInt(offset, 10)
}

func (k progressKeys) delayedPrefix() string { return "p/" + k.place + "/" }

// delay makes the record of a key in _dalamb.delayed; a nil value takes the key away.
func (k progressKeys) delay(key string, value []byte) eventlog.Record {
	return eventlog.Record{Topic: function.TopicDelayed, Partition: k.partition, Key: []byte(key), Value: value}
}

// delay keeps the event of a run that waits long.
func (w *work) delay(records []eventlog.Record) ([]eventlog.Record, error) {
	value, err := delayedRecord{due: w.due, appended: w.appended, event: w.cause}.encode()
	if err != nil {
		return nil, err
	}
	r := w.keys.delay(w.keys.delayed(w.trigger.In(w.position.Partition), w.position.Offset), value)
	r.Seal = eventlog.SealedAs(w.cause)
	return append(records, r), nil
}

// shelf finds the events of one partition in _dalamb.delayed. It is needed only for events that are no longer in their own topic,
// so it looks there only then, and from then on knows where each stands. Safe for concurrent use.
type shelf struct {
	log  eventlog.Log
	keys progressKeys
	turn chan struct{} // holds a token while nobody looks
	at   map[string]int64
	next int64
}

func newShelf(log eventlog.Log, keys progressKeys) *shelf {
	s := &shelf{log: log, keys: keys, turn: make(chan struct{}, 1), at: map[string]int64{}}
	s.turn <- struct{}{}
	return s
}

// find returns the event of a run; nil when it is not there.
func (s *shelf) find(ctx context.Context, trigger, offset int64) (*delayedRecord, error) {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return nil, fmt.Errorf("look for a delayed event: %w", ctx.Err())
	}
	defer func() { s.turn <- struct{}{} }()
	if err := s.catchUp(ctx); err != nil {
		return nil, err
	}
	at, ok := s.at[s.keys.delayed(trigger, offset)]
	if !ok {
		return nil, nil
	}
	place := eventlog.Partition{Topic: function.TopicDelayed, ID: s.keys.partition}
	rs, err := s.log.Read(ctx, place, at, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return nil, fmt.Errorf("read %s/%d: %w", place.Topic, place.ID, err)
	}
	if len(rs) == 0 || rs[0].Offset != at {
		return nil, nil
	}
	if rs[0].Lost() {
		return nil, errForgotten
	}
	r, err := decodeDelayed(rs[0].Value)
	if err != nil {
		return nil, fmt.Errorf("read %s/%d offset %d: %w", place.Topic, place.ID, at, err)
	}
	r.event.Seal = event.SealIn(rs[0].Headers)
	return &r, nil
}

// errForgotten says that an event is there, and its data is not any more.
var errForgotten = errors.New("the event's data was forgotten")

// catchUp notes what has come since the last time.
func (s *shelf) catchUp(ctx context.Context) error {
	place := eventlog.Partition{Topic: function.TopicDelayed, ID: s.keys.partition}
	for {
		rs, err := s.log.Read(ctx, place, s.next, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", place.Topic, place.ID, err)
		}
		if len(rs) == 0 {
			return nil
		}
		for _, r := range rs {
			switch key := string(r.Key); {
			case !strings.HasPrefix(key, s.keys.delayedPrefix()):
			case r.Value == nil:
				delete(s.at, key)
			default:
				s.at[key] = r.Offset
			}
		}
		s.next = rs[len(rs)-1].Offset + 1
	}
}

// kept is what has to be known of an event that is not in its topic any more, to give it its place.
type kept struct {
	key      string
	appended time.Time
}

// rescue looks up the pending events that a batch shows to be gone from their topic and that have waited long. It returns false
// when there are none; else the batch comes again, with them.
func (p *partition) rescue(sc scope, b *batch) bool {
	l := b.lane
	if b.kept != nil || b.missing || l.removed {
		return false
	}
	var wanted []int64
	for _, offset := range l.goneIn(b) {
		if waitedLong(l.recalled[offset].attempts) {
			wanted = append(wanted, offset)
		}
	}
	if len(wanted) == 0 {
		return false
	}
	l.reading = true
	uid := l.uid()
	p.helpers.Go(func() {
		b.kept = make(map[int64]kept, len(wanted))
		for n := 0; len(wanted) > 0; {
			r, err := p.shelf.find(sc.life, uid, wanted[0])
			if errors.Is(err, errForgotten) { // no more than gone
				r, err = nil, nil
			}
			if err != nil {
				if n == 0 && sc.life.Err() == nil {
					p.d.logger.Error("look for delayed events", "topic", p.id.Topic, "partition", p.id.ID, "offset", wanted[0], "err", err)
				}
				if !pause(sc.life, n) {
					return
				}
				n++
				continue
			}
			if r != nil {
				b.kept[wanted[0]] = kept{key: r.event.Key(), appended: r.appended}
			}
			wanted = wanted[1:]
		}
		p.box.post(b)
	})
	return true
}

// goneIn lists the offsets that are pending, stand where a batch was read, and are not in it.
func (l *lane) goneIn(b *batch) []int64 {
	end := l.p.scan
	if n := len(b.records); n > 0 {
		end = b.records[n-1].Offset
	}
	var gone []int64
	i := 0
	for _, offset := range l.unloaded {
		if offset >= end {
			break
		}
		for i < len(b.records) && b.records[i].Offset < offset {
			i++
		}
		if i == len(b.records) || b.records[i].Offset != offset {
			gone = append(gone, offset)
		}
	}
	return gone
}

// addKept takes in an event that was kept after it had gone from its topic.
func (l *lane) addKept(offset int64, k kept) {
	l.p.d.budget.force(entryCost)
	l.place(&entry{lane: l, offset: offset, appended: k.appended.UnixMilli(), held: entryCost, careful: offset < l.p.carefulBelow}, k.key)
}
