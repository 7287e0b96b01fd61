package gateway

import (
	"context"
	"fmt"
	"net/http"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// duplicatesHeader says how many events of a request were there already.
const duplicatesHeader = "Dalamb-Duplicates"

// allowed holds the events of a request to their topic's rules.
func (g *Gateway) allowed(in intake, rules function.TopicRules, records []eventlog.Record) error {
	if err := rules.MayWrite(in.topic, function.TokenWriter(in.sender)); err != nil {
		return err
	}
	var size int64
	for i := range records {
		n := recordSize(&records[i])
		size += n
		if err := rules.Fits(in.topic, n); err != nil {
			return err
		}
		if err := rules.Addressed(in.topic, in.events[i].Key()); err != nil {
			return err
		}
	}
	if err := g.quotas.take(quotaKey{in.topic, in.sender}, rules, len(records), size, g.now()); err != nil {
		return err
	}
	return g.allowance.Send(function.Environment(in.topic), len(records))
}

// put appends records: those that are in the topic already, by its rule, not again.
func (g *Gateway) put(ctx context.Context, in intake, rules function.TopicRules, records []eventlog.Record) ([]eventlog.Position, []bool, error) {
	if rules.Dedupe == 0 {
		positions, err := g.log.Append(ctx, records)
		return positions, make([]bool, len(records)), err
	}
	log, ok := g.log.(eventlog.Deduper)
	if !ok {
		return nil, nil, fault.New(fault.Unavailable, "topic %q has a dedupe window, which this log cannot keep", in.topic).
			WithHint("dalamb topic alter %s --dedupe 0s, and give the triggers dedupe", in.topic)
	}
	once := eventlog.Once{IDs: make([]string, len(records)), Window: rules.Dedupe.Std()}
	for i, e := range in.events {
		once.IDs[i] = in.topic + "\x00" + e.Source + "\x00" + e.ID
	}
	return log.AppendOnce(ctx, records, once)
}

// tellDuplicates says in the answer which events were there already.
func tellDuplicates(h http.Header, out []stored) {
	n := 0
	for _, s := range out {
		if s.Duplicate {
			n++
		}
	}
	if n > 0 {
		h.Set(duplicatesHeader, fmt.Sprint(n))
	}
}
