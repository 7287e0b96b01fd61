package app_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// story is what an outsider saw of an installation: what it was promised, what a read_committed reader finds in the topics, and when
// the functions ran. Each input that can be handled has one output, whose cause is the input's id.
type story struct {
	promised []string          // ids of the events that were acknowledged
	inputs   []stood           // what stands in the input topic
	outputs  []stood           // what stands in the output topic
	dead     map[string]string // ids of inputs that ended as dead letters, and why
	attempts []stretch
}

// stood is an event where it stands in a topic.
type stood struct {
	id, key, cause string
	partition      int32
	offset         int64
}

// stretch is the time that a function spent on one input.
type stretch struct {
	id, key      string
	node         string // which ran it; the next owner may run again what this one could not commit
	began, ended int64  // nanoseconds of one clock
	frozen       bool   // its node was frozen meanwhile; then another's attempts may overlap it
	failed       bool   // the function said so: no later input of the key may run before it is tried again
}

// faults lists every broken promise: an event lost, an effect twice, an effect of nothing, a key out of order.
func (s *story) faults() []string {
	var faults []string
	blame := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	in := map[string]stood{}
	for _, e := range s.inputs {
		if was, twice := in[e.id]; twice {
			blame("input %s stands in the log twice, at %d/%d and %d/%d", e.id, was.partition, was.offset, e.partition, e.offset)
		}
		in[e.id] = e
	}
	for _, id := range s.promised {
		if _, there := in[id]; !there {
			blame("input %s was acknowledged and is not in the log", id)
		}
	}
	outputs, ids := map[string]int{}, map[string]bool{}
	for _, e := range s.outputs {
		if _, known := in[e.cause]; !known {
			blame("output %s has no input %s", e.id, e.cause)
		}
		if ids[e.id] {
			blame("output %s stands in the log twice", e.id)
		}
		ids[e.id] = true
		outputs[e.cause]++
	}
	for _, e := range s.inputs {
		_, dead := s.dead[e.id]
		switch n := outputs[e.id]; {
		case n > 1:
			blame("input %s has %d outputs", e.id, n)
		case n == 0 && !dead:
			blame("input %s has neither an output nor a dead letter", e.id)
		case n == 1 && dead:
			blame("input %s has an output and is a dead letter: %s", e.id, s.dead[e.id])
		}
	}
	faults = append(faults, s.disorder(in)...)
	return append(faults, s.overlaps(in)...)
}

// disorder finds keys whose outputs do not stand in the order of their inputs.
func (s *story) disorder(in map[string]stood) []string {
	var faults []string
	outputs := slices.Clone(s.outputs)
	slices.SortFunc(outputs, byPlace)
	last := map[string]stood{} // key -> the input of its newest output
	for _, out := range outputs {
		cause, before := in[out.cause], last[out.key]
		if before.id != "" && before.partition == cause.partition && cause.offset < before.offset {
			faults = append(faults, fmt.Sprintf("key %s: the output of %s stands after that of %s", out.key, cause.id, before.id))
		}
		last[out.key] = cause
	}
	return faults
}

// overlaps finds inputs of one key that were run at the same time, or on one node in another order than theirs. One that was answered
// well may run again after a later one: the node lost its partition, or its brokers, before it could commit what it had run, and runs all of
// that once more. What the log has then is disorder's.
func (s *story) overlaps(in map[string]stood) []string {
	var faults []string
	attempts := slices.Clone(s.attempts)
	slices.SortFunc(attempts, func(a, b stretch) int { return cmp.Compare(a.began, b.began) })
	last, answered := map[string]stretch{}, map[string]bool{}
	for _, a := range attempts {
		before, ran := last[a.key]
		if ran && !a.frozen && !before.frozen && in[a.id].partition == in[before.id].partition {
			switch {
			case a.id != before.id && a.began < before.ended:
				faults = append(faults, fmt.Sprintf("key %s: %s began while %s ran", a.key, a.id, before.id))
			case a.node == before.node && !answered[a.id] && in[a.id].offset < in[before.id].offset:
				faults = append(faults, fmt.Sprintf("key %s: %s ran after %s, which came later", a.key, a.id, before.id))
			}
		}
		last[a.key], answered[a.id] = a, answered[a.id] || !a.failed
	}
	return faults
}

func byPlace(a, b stood) int {
	return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
}

// TestStoriesAreJudged breaks a good story in every way, and looks for the fault that is found.
func TestStoriesAreJudged(t *testing.T) {
	good := func() *story {
		return &story{
			promised: []string{"a0", "a1", "b0"},
			inputs:   []stood{{id: "a0", key: "a"}, {id: "a1", key: "a", offset: 1}, {id: "b0", key: "b", partition: 1}, {id: "b1", key: "b", partition: 1, offset: 4}},
			outputs:  []stood{{id: "x", key: "a", cause: "a0"}, {id: "y", key: "a", cause: "a1", offset: 3}, {id: "z", key: "b", cause: "b0", partition: 1}},
			dead:     map[string]string{"b1": "declined"},
			attempts: []stretch{{id: "a0", key: "a", began: 1, ended: 2}, {id: "a1", key: "a", began: 3, ended: 4}, {id: "a1", key: "a", began: 5, ended: 6}, {id: "b0", key: "b", began: 1, ended: 9}},
		}
	}
	if found := good().faults(); len(found) > 0 {
		t.Fatalf("a good story has faults: %q", found)
	}
	for _, c := range []struct {
		name  string
		spoil func(*story)
		want  string
	}{
		{"an acknowledged event is lost", func(s *story) { s.promised = append(s.promised, "c0") }, "c0 was acknowledged and is not in the log"},
		{"an input twice", func(s *story) { s.inputs = append(s.inputs, s.inputs[0]) }, "input a0 stands in the log twice"},
		{"an output is lost", func(s *story) { s.outputs = s.outputs[:2] }, "input b0 has neither"},
		{"an output twice with one id", func(s *story) { s.outputs = append(s.outputs, s.outputs[2]) }, "output z stands in the log twice"},
		{"an effect twice with two ids", func(s *story) {
			s.outputs = append(s.outputs, stood{id: "w", key: "b", cause: "b0", partition: 1, offset: 9})
		}, "input b0 has 2 outputs"},
		{"an output of nothing", func(s *story) { s.outputs[0].cause = "q" }, "has no input q"},
		{"a dead letter that succeeded", func(s *story) { s.dead["a0"] = "why" }, "a0 has an output and is a dead letter"},
		{"outputs out of order", func(s *story) { s.outputs[0].offset = 7 }, "the output of a0 stands after that of a1"},
		{"two of a key at a time", func(s *story) { s.attempts[1].began = 1 }, "a1 began while a0 ran"},
		{"a failed one again, too late", func(s *story) {
			s.attempts[0].failed = true
			s.attempts = append(s.attempts, stretch{id: "a0", key: "a", began: 8, ended: 9})
		}, "a0 ran after a1"},
		{"an earlier one for the first time", func(s *story) { s.attempts[0].began, s.attempts[0].ended = 8, 9 }, "a0 ran after a1"},
	} {
		s := good()
		c.spoil(s)
		if found := s.faults(); len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), c.want) {
			t.Errorf("%s: faults = %q, want %q among them", c.name, found, c.want)
		}
	}
	s := good()
	s.attempts = append(s.attempts, stretch{id: "a0", key: "a", node: "next", began: 8, ended: 9})
	if found := s.faults(); len(found) > 0 {
		t.Errorf("the next owner may run again what was not committed, but: %q", found)
	}
	s = good()
	s.attempts = append(s.attempts, stretch{id: "a0", key: "a", began: 8, ended: 9})
	if found := s.faults(); len(found) > 0 {
		t.Errorf("what was answered and could not be committed may run again on the same node, but: %q", found)
	}
	s = good()
	s.attempts[1].began, s.attempts[0].frozen = 1, true
	if found := s.faults(); len(found) > 0 {
		t.Errorf("across a frozen node attempts may overlap, but: %q", found)
	}
}
