package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// testAtomicView lets readers look while calls that span partitions are written: who has seen one part of a call must
// find all of it.
func testAtomicView(t *testing.T, f Factory) {
	l := open(t, f)
	const partitions, calls = 4, 200
	create(t, l, eventlog.Topic{Name: "x", Partitions: partitions})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for from := int64(0); from < calls; from++ {
				rs, err := l.Read(ctx(t), part("x", 0), from, eventlog.ReadOptions{MaxRecords: 1})
				if err != nil {
					t.Errorf("Read(%d) = %v", from, err)
					return
				}
				for id := range int32(partitions) {
					b, err := l.Bounds(ctx(t), part("x", id))
					if err != nil || b.End <= rs[0].Offset {
						t.Errorf("Bounds(%d) = %+v, %v after offset %d of the same call was read, want its end past that", id, b, err, rs[0].Offset)
						return
					}
				}
			}
		})
	}
	for i := range calls {
		var rs []eventlog.Record
		for id := range int32(partitions) {
			rs = append(rs, rec("x", partitions-1-id, strconv.Itoa(i)))
		}
		appendAll(t, l, rs...)
	}
	readers.Wait()
}

// testHistory lets writers and a member write calls of random shape at once, records what they were told, and checks
// the log against it.
func testHistory(t *testing.T, f Factory) {
	l := open(t, f)
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		topic := fmt.Sprintf("history%d", round)
		partitions := rapid.Int32Range(1, 5).Draw(r, "partitions")
		create(t, l, eventlog.Topic{Name: topic, Partitions: partitions})
		h := NewHistory(topic, partitions)
		var writers sync.WaitGroup
		for w := range rapid.IntRange(1, 8).Draw(r, "writers") {
			seed := rapid.Uint64().Draw(r, "seed")
			calls := rapid.IntRange(1, 12).Draw(r, "calls")
			writers.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 0))
				for range calls {
					c := h.Begin(strconv.Itoa(w), rng)
					ps, err := l.Append(ctx(t), c.Records)
					h.End(c, ps, err)
				}
			})
		}
		writers.Wait()
		if err := h.Check(ctx(t), l); err != nil {
			r.Fatal(err)
		}
	})
}

// History records calls and what they were told, and checks a log against it: every acknowledged record is there, at
// its position; each writer's calls are in order; no call is there in part; nothing is there that nobody wrote. It is
// safe for concurrent use.
type History struct {
	topic      string
	partitions int32

	mu     sync.Mutex
	calls  map[string]*Call
	writer map[string]int
}

// Call is one call of a writer. Its records carry "writer call index count" as their values.
type Call struct {
	Records []eventlog.Record
	name    string // "writer call"
	acked   []eventlog.Position
}

// NewHistory makes a History of a topic that nobody else writes to.
func NewHistory(topic string, partitions int32) *History {
	return &History{topic: topic, partitions: partitions, calls: make(map[string]*Call), writer: make(map[string]int)}
}

// Begin makes the next call of a writer: some records over some partitions. A writer's calls must be one after another.
func (h *History) Begin(writer string, rng *rand.Rand) *Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := NewCall(h.topic, h.partitions, writer, h.writer[writer], rng)
	h.writer[writer]++
	h.calls[c.name] = c
	return c
}

// NewCall makes the n-th call of a writer.
func NewCall(topic string, partitions int32, writer string, n int, rng *rand.Rand) *Call {
	c := &Call{name: fmt.Sprintf("%s %d", writer, n)}
	count := 1 + rng.IntN(6)
	for i := range count {
		value := fmt.Sprintf("%s %d %d", c.name, i, count)
		if rng.IntN(10) == 0 {
			value += " " + strings.Repeat("x", rng.IntN(20_000))
		}
		c.Records = append(c.Records, rec(topic, rng.Int32N(partitions), value))
	}
	return c
}

// End notes what a call was told.
func (h *History) End(c *Call, ps []eventlog.Position, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		c.acked = ps
	}
}

// Snapshot returns the history up to now, on its own.
func (h *History) Snapshot() *History {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &History{topic: h.topic, partitions: h.partitions, calls: make(map[string]*Call, len(h.calls)), writer: maps.Clone(h.writer)}
	for name, c := range h.calls {
		copied := *c
		s.calls[name] = &copied
	}
	return s
}

// Check reads the whole topic and returns the first difference.
func (h *History) Check(ctx context.Context, l eventlog.Log) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	found, err := ReadCalls(ctx, l, h.topic, h.partitions)
	if err != nil {
		return err
	}
	for name, f := range found {
		c := h.calls[name]
		if c == nil {
			return fmt.Errorf("call %q is in the log, nobody made it", name)
		}
		for i, pos := range f.Positions {
			if c.acked != nil && pos != c.acked[i] {
				return fmt.Errorf("record %d of call %q stands at %v, acknowledged was %v", i, name, pos, c.acked[i])
			}
			if want := c.Records[i].Partition; pos.Partition != want {
				return fmt.Errorf("record %d of call %q stands on partition %d, want %d", i, name, pos.Partition, want)
			}
		}
	}
	for name, c := range h.calls {
		if _, ok := found[name]; !ok && c.acked != nil {
			return fmt.Errorf("call %q was acknowledged and is not in the log", name)
		}
	}
	return nil
}

// FoundCall is a call as it stands in the log.
type FoundCall struct {
	Positions []eventlog.Position // by index in the call
}

// ReadCalls reads all calls of a topic that only calls were written to. It returns an error where one stands there in
// part or twice, where the records of one call are not in their order, or where a writer's calls are not.
func ReadCalls(ctx context.Context, l eventlog.Log, topic string, partitions int32) (map[string]*FoundCall, error) {
	found := make(map[string]*FoundCall)
	for id := range partitions {
		last := make(map[string][2]int)
		next := int64(0)
		for {
			rs, err := l.Read(ctx, eventlog.Partition{Topic: topic, ID: id}, next, eventlog.ReadOptions{NoWait: true})
			if err != nil {
				return nil, err
			}
			if len(rs) == 0 {
				break
			}
			for _, r := range rs {
				if r.Offset < next {
					return nil, fmt.Errorf("offset %d of %s/%d comes after %d", r.Offset, topic, id, next-1)
				}
				next = r.Offset + 1
				writer, call, index, count, err := parseValue(r.Value)
				if err != nil {
					return nil, fmt.Errorf("read value %.40q at %s/%d %d: %w", r.Value, topic, id, r.Offset, err)
				}
				before, seen := last[writer]
				if seen && (call < before[0] || call == before[0] && index <= before[1]) {
					return nil, fmt.Errorf("writer %s: call %d record %d comes after call %d record %d on %s/%d", writer, call, index, before[0], before[1], topic, id)
				}
				last[writer] = [2]int{call, index}
				name := fmt.Sprintf("%s %d", writer, call)
				f := found[name]
				if f == nil {
					f = &FoundCall{Positions: make([]eventlog.Position, count)}
					found[name] = f
				}
				if index >= len(f.Positions) || f.Positions[index].Topic != "" {
					return nil, fmt.Errorf("record %d of call %q stands there twice", index, name)
				}
				f.Positions[index] = eventlog.Position{Topic: topic, Partition: id, Offset: r.Offset}
			}
		}
	}
	for name, f := range found {
		for i, p := range f.Positions {
			if p.Topic == "" {
				return nil, fmt.Errorf("record %d of call %q is missing, others of the call are there: a torn batch", i, name)
			}
		}
	}
	return found, nil
}

// parseValue reads "writer call index count", which may be followed by padding.
func parseValue(v []byte) (writer string, call, index, count int, err error) {
	words := strings.SplitN(string(v[:min(len(v), 100)]), " ", 5)
	if len(words) < 4 {
		return "", 0, 0, 0, fmt.Errorf("want 4 words, have %d", len(words))
	}
	call, err1 := strconv.Atoi(words[1])
	index, err2 := strconv.Atoi(words[2])
	count, err3 := strconv.Atoi(words[3])
	return words[0], call, index, count, errors.Join(err1, err2, err3)
}
