package dispatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// A replay is a trigger of its own for a while. In each partition that it is about it has a lane which reads from its start to its end
// and never joins the shared scan: so order, retries, progress and what a crash leaves behind are those of any trigger. What is
// different is in this file: where the lane ends, what it holds at most, and where its story is written.

// Bounds of a replay's lane, instead of laneWindow and laneBytes: live triggers need the memory more.
const (
	replayWindow = 256
	replayBytes  = 256 << 10
)

// welcomeReplay begins a replay in this partition.
func (p *partition) welcomeReplay(t *catalog.Trigger) {
	if p.topicID != t.Replay.TopicID || t.Start[p.id.ID] >= t.Replay.End[p.id.ID] {
		return
	}
	l := p.newLane(t)
	l.detach(min(t.Start[p.id.ID], p.scan)) // progress is never ahead of the scan
	p.pull(l)
}

// end is the offset up to which a detached lane may look at events: where the shared scan is, or where its replay ends.
func (l *lane) end() int64 {
	if r := l.t.Replay; r != nil {
		return min(l.p.scan, r.End[l.p.id.ID])
	}
	return l.p.scan
}

// window is how many entries the lane has at most.
func (l *lane) window() int {
	if l.t.Replay != nil {
		return min(replayWindow, l.p.d.window)
	}
	return l.p.d.window
}

// maxBytes is how many bytes of events the lane holds at most.
func (l *lane) maxBytes() int64 {
	if l.t.Replay != nil {
		return replayBytes
	}
	return laneBytes
}

// read says that a replay's lane has looked at all that it is about.
func (l *lane) read() bool {
	return l.t.Replay != nil && len(l.unloaded) == 0 && l.scanned >= l.t.Replay.End[l.p.id.ID]
}

// early says that a replay's lane wants what the shared scan has not reached.
func (l *lane) early() bool {
	return l.t.Replay != nil && len(l.unloaded) == 0 && l.scanned >= l.p.scan
}

// farewell is the record that says that a replay has nothing left to do here; nil when it has, or when that has been said. It is called
// when a transaction is gathered, which then holds the end of the last run too.
func (l *lane) farewell() *eventlog.Record {
	if l.told || l.removed || !l.read() || slices.ContainsFunc(l.entries, func(e *entry) bool { return e.state != gone && !e.settled }) {
		return nil
	}
	name := l.t.Replay.Name
	id := derivedID(fmt.Sprintf("%s/%d", name, l.p.id.ID), "replayed", 0)
	e, err := statement(event.TypeReplayPartitionFinished, id, name, function.ReplayedPartition{Replay: name, Partition: l.p.id.ID}, l.p.d.now())
	if err != nil { // two plain values can be written as JSON
		return nil
	}
	l.told = true
	r := byKey(function.TopicReplays, e)
	return &r
}

// gateOf is the gate of a trigger. A replay's takes only what the live trigger leaves idle.
func (d *Dispatcher) gateOf(t *catalog.Trigger) *gate {
	g := d.gates.get(t, d.shareOf(t))
	if t.Replay == nil {
		return g
	}
	if live, err := d.plan().view.Trigger(t.Function, t.Name); err == nil {
		g.yieldTo(d.gates.get(live, d.shareOf(live)))
	} else {
		g.yieldTo(nil)
	}
	return g
}

// asReplayed lets the function see that the event is run again.
func asReplayed(w *work) {
	r := w.trigger.Replay
	if r == nil || w.input == nil {
		return
	}
	e := w.input.Clone()
	if e.SetExtension(event.ExtReplay, r.Name) == nil {
		w.input = e
	}
}

// toldSealed says of an emitted event that what the replay tells of its run is sealed by a key of the same event key, and so goes with what the event would say.
func (w *work) toldSealed(e *event.Event) bool {
	return w.trigger.Replay != nil && eventlog.SealedAs(w.cause) != nil && w.cause.Key() == e.Key()
}

// keepBack takes back the events that a replayed run emits and may not append; those that are captured stay with the run. Where their topic is sealed they stay
// without their data, unless the story is sealed for the same event key.
func (w *work) keepBack(sealed bool) error {
	r := w.trigger.Replay
	if r == nil || r.Output == function.ReplayPublish {
		return nil
	}
	outputs := w.outputs
	w.outputs = nil
	if r.Output != function.ReplayCapture {
		return nil
	}
	left := function.MaxCaptured
	for _, o := range outputs {
		e, err := eventlog.ToEvent(o)
		if err != nil {
			return fmt.Errorf("capture an event: %w", err)
		}
		if sealed && len(e.Data) > 0 && !w.toldSealed(e) {
			e.Data, e.DataContentType = nil, ""
			if err := e.SetExtension(event.ExtSealed, event.SealedLeftOut); err != nil {
				return fmt.Errorf("capture event %s: %w", e.ID, err)
			}
		}
		text, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("capture event %s: %w", e.ID, err)
		}
		if left -= len(text); left < 0 {
			w.captureCut = true
			return nil
		}
		w.captured = append(w.captured, text)
	}
	return nil
}

// replayed makes the records of the outcome of a replayed run: its story goes to the replay's, and nobody else is told. It makes no dead
// letter.
func (s record) replayed(w *work) error {
	if !w.final() {
		return w.again(nil)
	}
	run := w.story()
	run.Finished = s.now().Truncate(time.Millisecond)
	r := w.trigger.Replay
	told := function.ReplayedRun{Run: run, Replay: r.Name, Captured: w.captured, Cut: w.captureCut}
	e, err := statement(event.TypeReplayRunFinished, derivedID(w.run, "finished", 0), r.Name, told, s.now())
	if err != nil {
		return err
	}
	story := byKey(function.TopicReplays, e)
	story.Seal = eventlog.SealedAs(w.cause)
	w.records = w.appendProgress(append(w.outputs, story))
	return nil
}
