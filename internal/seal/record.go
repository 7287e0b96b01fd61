package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
)

// recordHead begins what a record's seal is bound to.
const recordHead = "dalamb record v1"

// batch are the records of one call, sealed, behind those of the keys that were made for them.
type batch struct {
	keys    *keys
	records []eventlog.Record
	root    *rootKey   // that is made with the first of them; nil = there is one. Its record is the first
	made    []*dataKey // theirs follow
}

// stored takes the answer to a call that stored a batch, and makes it one to the caller's own records.
func (b *batch) stored(at []eventlog.Position, err error) ([]eventlog.Position, error) {
	if err != nil {
		return nil, err
	}
	b.note(at)
	return at[b.own():], nil
}

// own is how many records go before the caller's.
func (b *batch) own() int {
	if b.root != nil {
		return 1 + len(b.made)
	}
	return len(b.made)
}

// note lets the keys be used by others, which stand where the first of some positions say.
func (b *batch) note(at []eventlog.Position) {
	if b.root != nil {
		b.keys.noteRoot(b.root, at[0].Offset)
		at = at[1:]
	}
	for i, k := range b.made {
		b.keys.note(k, at[i].Offset)
	}
}

// payload says whose key a record is to be sealed with.
func (l *Log) payload(r *eventlog.Record) (s eventlog.Seal, ok bool) {
	switch {
	case len(r.Value) == 0:
		return s, false
	case r.Seal != nil && r.Seal.By != "":
		return *r.Seal, true
	case r.Seal != nil && len(r.Seal.Key) > 0 && l.sealed(r.Seal.Topic):
		return *r.Seal, true
	case len(r.Key) > 0 && l.sealed(r.Topic):
		return eventlog.Seal{Topic: r.Topic, Key: r.Key}, true
	}
	return s, false
}

// seal seals those of the records that are to be. The others, and the caller's slice, stay as they are.
func (l *Log) seal(ctx context.Context, records []eventlog.Record) (*batch, error) {
	b := &batch{keys: l.keys, records: records}
	var out []eventlog.Record
	for i := range records {
		s, ok := l.payload(&records[i])
		if !ok {
			continue
		}
		if out == nil {
			// Whose forgetting returned before this call began has been heard of: the next event of the key gets another one. Nobody else writes to a log of files.
			if err := l.keys.catchUp(ctx); err != nil {
				return nil, err
			}
			out = slices.Clone(records)
		}
		k, err := b.keyOf(ctx, s)
		if err != nil {
			return nil, err
		}
		out[i] = sealed(&records[i], k)
	}
	if out != nil {
		b.records = out
	}
	if len(b.made) > 0 {
		all := make([]eventlog.Record, 0, b.own()+len(out))
		if b.root != nil {
			all = append(all, b.root.record)
		}
		for _, k := range b.made {
			all = append(all, k.record)
		}
		b.records = append(all, out...)
	}
	return b, nil
}

// keyOf finds the key to seal with, or makes one.
func (b *batch) keyOf(ctx context.Context, s eventlog.Seal) (*dataKey, error) {
	if s.By != "" {
		id, ok := parseID(s.By)
		if !ok {
			return lostKey(id)
		}
		k, err := b.keys.open(ctx, id)
		if errors.Is(err, errForgotten) || errors.Is(err, errDamaged) {
			// What was read before it was forgotten does not come back by a copy.
			return lostKey(id)
		}
		return k, err
	}
	owner := digestOf(s.Key)
	for _, k := range b.made {
		if k.id.owner() == owner && k.topic == s.Topic {
			return k, nil
		}
	}
	k, err := b.keys.current(ctx, owner, s.Topic)
	if err != nil || k != nil {
		return k, err
	}
	root := b.root
	if root == nil {
		if root, err = b.keys.rootKey(ctx); err != nil {
			return nil, err
		}
		if root.record.Key != nil {
			b.root = root
		}
	}
	if k, err = makeKey(root, owner, s.Topic); err == nil {
		b.made = append(b.made, k)
	}
	return k, err
}

func isSealed(r *eventlog.Record) bool { return event.SealIn(r.Headers) != "" }

// sealed is a record as it is stored. Its headers stay as they are, with one more at the end.
func sealed(r *eventlog.Record, k *dataKey) eventlog.Record {
	out := *r
	out.Seal = nil
	out.Value = k.aead.Seal(nil, nil, r.Value, bound(r, k.id))
	headers := eventlog.Unsealed(r.Headers)
	out.Headers = append(headers[:len(headers):len(headers)], eventlog.Header{Name: event.HeaderSeal, Value: []byte(k.id.String())})
	return out
}

// bound is what a sealed value is bound to: it opens nowhere else.
func bound(r *eventlog.Record, id keyID) []byte {
	b := append(make([]byte, 0, 128), recordHead...)
	for _, part := range [][]byte{id[:], []byte(r.Topic), r.Key, headerOf(r, "ce_id")} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

func headerOf(r *eventlog.Record, name string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Name == name {
			return r.Headers[i].Value
		}
	}
	return nil
}

// open is a record with its value, or without where that cannot be had any more.
func (l *Log) open(ctx context.Context, r eventlog.Record, asked *bool) (eventlog.Record, error) {
	id, ok := parseID(event.SealIn(r.Headers))
	if !ok {
		return lost(r, event.SealedDamaged), nil
	}
	if !*asked && !l.keys.knows(id) {
		// The key was stored with the record or before it. Who has read all that was there now, and does not find it, knows that it is gone.
		if err := l.keys.catchUp(ctx); err != nil {
			return r, err
		}
		*asked = true
	}
	k, err := l.keys.open(ctx, id)
	switch {
	case errors.Is(err, errForgotten):
		return lost(r, event.SealedForgotten), nil
	case errors.Is(err, errDamaged):
		return lost(r, event.SealedDamaged), nil
	case err != nil:
		return r, fmt.Errorf("open %s/%d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	value, err := k.aead.Open(nil, nil, r.Value, bound(&r, id))
	if err != nil {
		return lost(r, event.SealedDamaged), nil
	}
	r.Value = value
	return r, nil
}

// lost is a record without its value. The event of one says why; it has no data and so no type of that.
func lost(r eventlog.Record, why string) eventlog.Record {
	r.Value = []byte{}
	n := len(r.Headers) - 1
	headers := make([]eventlog.Header, 0, n+2)
	isEvent := false
	for _, h := range r.Headers[:n] {
		if strings.EqualFold(h.Name, "content-type") {
			continue
		}
		isEvent = isEvent || h.Name == "ce_specversion"
		headers = append(headers, h)
	}
	if isEvent {
		headers = append(headers, eventlog.Header{Name: "ce_" + event.ExtSealed, Value: []byte(why)})
	}
	r.Headers = append(headers, r.Headers[n])
	return r
}
