package copier

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// How much one transaction copies.
const (
	mostRecords = 1000
	mostBytes   = 1 << 20
)

// originHeader names the header by which a copied record says where it comes from: TOPICID@OFFSET. A record that is copied on
// gets another one.
const originHeader = "dalamb-copied"

func origin(topicID string, offset int64) eventlog.Header {
	return eventlog.Header{Name: originHeader, Value: []byte(topicID + "@" + strconv.FormatInt(offset, 10))}
}

// originOf is the offset that a record was copied from; ok is false when it is not a copy from that topic.
func originOf(r *eventlog.Record, topicID string) (offset int64, ok bool) {
	for _, h := range slices.Backward(r.Headers) {
		if h.Name != originHeader {
			continue
		}
		text, mine := strings.CutPrefix(string(h.Value), topicID+"@")
		if !mine {
			continue
		}
		offset, err := strconv.ParseInt(text, 10, 64)
		return offset, err == nil && offset >= 0
	}
	return 0, false
}

// partition copies one partition up to its end, or until ctx is done.
func (a *attempt) partition(ctx context.Context, id int32) error {
	end := int64(math.MaxInt64)
	if !a.copy.Follow {
		end = a.copy.End[id]
	}
	known, err := recall(ctx, a.target, &a.copy.Copy)
	if err != nil {
		return err
	}
	from := eventlog.Partition{Topic: a.copy.From, ID: id}
	at, most := known[id], mostRecords
	for at.Next < end {
		rs, err := a.log.Read(ctx, from, at.Next, eventlog.ReadOptions{MaxRecords: most, MaxBytes: mostBytes, NoWait: !a.copy.Follow})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", from.Topic, from.ID, err)
		}
		rs = slices.DeleteFunc(rs, func(r eventlog.Record) bool { return r.Offset >= end })
		next, err := a.after(ctx, from, at, rs)
		if err != nil {
			return err
		}
		if len(rs) == 0 {
			next.Next = end
		}
		err = a.store(ctx, id, rs, next)
		if fault.KindOf(err) == fault.TooLarge {
			if len(rs) > 1 {
				most = len(rs) / 2 // there may be one that is, or a log that takes less at a time
				continue
			}
			return fault.New(fault.TooLarge, "the event at %s/%d@%d is larger than topic %s there takes: %w", from.Topic, from.ID, rs[0].Offset, a.copy.To, err).
				WithHint("raise the size that it takes, and copy again: the copy goes on where it stopped")
		}
		if err != nil {
			return err
		}
		at, most = next, min(most+1, mostRecords)
	}
	return nil
}

// after is how far the partition is when records that were read from where it is have been copied.
func (a *attempt) after(ctx context.Context, from eventlog.Partition, at progress, rs []eventlog.Record) (progress, error) {
	if len(rs) == 0 {
		return at, nil
	}
	if at.Next > 0 && rs[0].Offset > at.Next { // retention, or a gap
		b, err := a.log.Bounds(ctx, from)
		if err != nil {
			return at, fmt.Errorf("read the bounds of %s/%d: %w", from.Topic, from.ID, err)
		}
		if missed := min(b.Start, rs[0].Offset) - at.Next; missed > 0 {
			a.logger.Warn("events were gone before they were copied", "copy", a.copy.Name, "topic", from.Topic, "partition", from.ID, "count", missed)
			at.Missed += missed
		}
	}
	at.Next = rs[len(rs)-1].Offset + 1
	at.Copied += int64(len(rs))
	return at, nil
}

// store appends copies of records together with how far the partition is then.
func (a *attempt) store(ctx context.Context, id int32, rs []eventlog.Record, next progress) error {
	out := make([]eventlog.Record, 0, len(rs)+1)
	for _, r := range rs {
		out = append(out, eventlog.Record{
			Topic: a.copy.To, Partition: id, Time: r.Time, Key: r.Key, Value: r.Value,
			Headers: append(slices.Clone(eventlog.Unsealed(r.Headers)), origin(a.copy.FromID, r.Offset)),
		})
	}
	how, err := next.record(&a.copy.Copy, id)
	if err != nil {
		return err
	}
	claims := []eventlog.Partition{{Topic: a.copy.To, ID: id}}
	if _, err := a.member.Commit(ctx, eventlog.Txn{Records: append(out, how), Claims: claims}); err != nil {
		return fmt.Errorf("store in topic %s: %w", a.copy.To, err)
	}
	return nil
}
