package idempotency

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

var zero = time.Unix(1_800_000_000, 0).UTC()

// at is so many seconds after zero.
func at(seconds int) time.Time { return zero.Add(time.Duration(seconds) * time.Second) }

func claimed(id string, now int, expects int64) *record {
	return &record{Claim: id, At: at(now), Deadline: at(now + 10), Expects: expects}
}

func answeredBy(c *record, now int, offset int64) *record {
	a := *c
	a.At, a.Expires, a.Claimed, a.Answer = at(now), at(now+100), offset, &function.Answer{Status: 200}
	return &a
}

// step is a record at an offset, and whether it holds.
type step struct {
	offset int64
	rec    *record // nil = the tombstone of free
	free   string
	holds  bool
}

func TestWhichClaimsAndAnswersHold(t *testing.T) {
	d := DigestOf("k")
	first := claimed("a", 0, -1)
	for name, steps := range map[string][]step{
		"the first of two":          {{10, first, "", true}, {11, claimed("b", 0, -1), "", false}, {12, answeredBy(first, 1, 10), "", true}, {13, claimed("c", 2, -1), "", false}},
		"each twice":                {{10, first, "", true}, {10, first, "", false}, {12, answeredBy(first, 1, 10), "", true}, {12, answeredBy(first, 1, 10), "", true}},
		"an expired answer":         {{10, first, "", true}, {12, answeredBy(first, 1, 10), "", true}, {13, claimed("b", 100, 12), "", true}, {14, claimed("c", 101, 12), "", false}},
		"an expired answer, unseen": {{10, first, "", true}, {12, answeredBy(first, 1, 10), "", true}, {13, claimed("b", 101, -1), "", true}},
		"a claim that is over":      {{10, first, "", true}, {11, claimed("b", 10, 10), "", true}, {12, answeredBy(first, 11, 10), "", false}},
		"late, behind an answer":    {{10, first, "", true}, {11, claimed("b", 10, 10), "", true}, {12, answeredBy(claimed("b", 10, 10), 11, 11), "", true}, {13, answeredBy(first, 12, 10), "", false}},
		"a dead node's":             {{10, first, "", true}, {11, claimed("b", 1, 10), "", true}, {12, claimed("c", 1, 10), "", false}},
		"what is free":              {{10, first, "", true}, {11, nil, "a", true}, {12, claimed("b", 1, -1), "", true}},
		"the end of another claim":  {{10, first, "", true}, {11, nil, "b", true}, {12, claimed("c", 1, -1), "", false}},
		"an answer is not freed":    {{10, first, "", true}, {11, answeredBy(first, 1, 10), "", true}, {12, nil, "a", true}, {13, claimed("c", 1, -1), "", false}},
		// Compaction has taken the claim that held.
		"who lost, without who won": {{11, claimed("b", 0, -1), "", true}, {12, answeredBy(first, 1, 10), "", true}, {13, claimed("c", 2, -1), "", false}},
		// Compaction has taken the claim that was taken over.
		"late, without its claim": {{11, claimed("b", 10, 10), "", true}, {12, answeredBy(first, 11, 10), "", false}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(100)
			for _, st := range steps {
				if st.rec == nil {
					s.free(d, st.free)
				} else if got := s.fold(d, st.rec, st.offset); got != st.holds {
					t.Errorf("offset %d holds: %v, want %v", st.offset, got, st.holds)
				}
			}
		})
	}
}

func TestTooManyKeysForgetTheOldest(t *testing.T) {
	s := newState(3)
	for i := range 6 {
		c := claimed(fmt.Sprint(i), i, -1)
		s.fold(DigestOf(c.Claim), c, int64(2*i))
		if i > 0 { // the first one is still being run
			s.fold(DigestOf(c.Claim), answeredBy(c, i, int64(2*i)), int64(2*i+1))
		}
		if n := s.forget(at(i)); n != map[int]int{3: 1, 4: 1, 5: 1}[i] {
			t.Errorf("key %d pushes %d out", i, n)
		}
	}
	for i, there := range []bool{true, false, false, false, true, true} {
		if got := s.keys[DigestOf(fmt.Sprint(i))] != nil; got != there {
			t.Errorf("key %d is there: %v, want %v", i, got, there)
		}
	}
	later := at(1000).Add(function.MaxKeep) // of a claim that is over its run is known so long
	if n := s.forget(later); n != 0 || len(s.keys) != 0 || len(s.order) != 0 {
		t.Errorf("when all are over %d are forgotten before their time, %d stay, in an order of %d", n, len(s.keys), len(s.order))
	}
}

func TestWhoComesAfterAClaimIsOverFindsItsRun(t *testing.T) {
	s := newState(2)
	fold := func(id string, now int) {
		c := claimed(id, now, -1)
		s.fold(DigestOf(id), c, int64(now))
		s.fold(DigestOf(id), answeredBy(c, now, int64(now)), int64(now+1))
		s.forget(at(now))
	}
	s.fold(DigestOf("lost"), claimed("lost", 0, -1), 0)
	fold("a", 20)
	if e := s.keys[DigestOf("lost")]; e == nil || e.open == nil || !e.over(at(20)) {
		t.Errorf("the claim is %+v, want it over and known", e)
	}
	fold("b", 30) // one too many
	if len(s.keys) != 2 || s.keys[DigestOf("lost")] != nil {
		t.Errorf("%d keys are known, with the claim: %v; want it to make room", len(s.keys), s.keys[DigestOf("lost")] != nil)
	}
}

func TestTheOrderOfFreeKeysIsBounded(t *testing.T) {
	s := newState(100)
	s.fold(DigestOf("stays"), answeredBy(claimed("stays", 0, -1), 0, 0), 1)
	for i := range 10_000 {
		id := fmt.Sprint(i)
		s.fold(DigestOf(id), claimed(id, 1, -1), int64(i+2))
		s.forget(at(1))
		s.free(DigestOf(id), id)
	}
	if len(s.order) > 1100 || len(s.keys) != 1 || s.order[0].digest != DigestOf("stays") {
		t.Errorf("an order of %d keeps %d keys", len(s.order), len(s.keys))
	}
}

// TestCompactionForgetsNoAnswer has two nodes, which see the log late, write a history, and folds it whole and compacted at any point.
func TestCompactionForgetsNoAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := DigestOf("k")
		var log []eventlog.Record
		type node struct {
			*state
			seen int
		}
		nodes := []*node{{state: newState(100)}, {state: newState(100)}}
		read := func(n *node, to int) {
			for ; n.seen < to; n.seen++ {
				_, id, rec, err := decode(&log[n.seen])
				if err != nil {
					t.Fatal(err)
				}
				if rec == nil {
					n.free(d, id)
				} else {
					n.fold(d, rec, log[n.seen].Offset)
				}
			}
		}
		write := func(id string, rec *record) {
			r := encode(d, id, rec)
			r.Offset = int64(len(log))
			log = append(log, r)
		}
		now, ended := 0, map[string]bool{}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			now += rapid.SampledFrom([]int{0, 0, 1, 11, 101}).Draw(t, "later")
			at := at(now)
			who := rapid.IntRange(0, 1).Draw(t, "node")
			n := nodes[who]
			read(n, rapid.IntRange(n.seen, len(log)).Draw(t, "read"))
			e := n.keys[d]
			mine := e != nil && e.open != nil && e.open.Node == fmt.Sprint(who) && !e.over(at) && !ended[e.open.Claim]
			switch what := rapid.SampledFrom([]string{"claim", "claim", "answer", "free"}).Draw(t, "what"); {
			case what == "claim" && (e == nil || e.over(at)):
				c := claimed(fmt.Sprint("c", len(log)), now, -1)
				c.Node = fmt.Sprint(who)
				if e != nil {
					c.Expects = e.last
				}
				write(c.Claim, c)
			case what == "answer" && mine: // in time, once, and by who knows that its claim holds
				ended[e.open.Claim] = true
				write(e.open.Claim, answeredBy(e.open.record, now, e.claimed))
			case what == "free" && mine:
				ended[e.open.Claim] = true
				write(e.open.Claim, nil)
			}
		}
		whole, compacted := &node{state: newState(100)}, &node{state: newState(100)}
		read(whole, len(log))
		cut := rapid.IntRange(0, len(log)).Draw(t, "compacted to")
		var left []eventlog.Record
		for i, r := range log {
			newer := false
			for _, later := range log[min(i+1, cut):cut] {
				newer = newer || bytes.Equal(later.Key, r.Key)
			}
			if i >= cut || !newer {
				left = append(left, r)
			}
		}
		log = left
		read(compacted, len(log))
		is, then := whole.keys[d], compacted.keys[d]
		if is != nil && is.open == nil && !is.over(at(now)) && (then == nil || then.open != nil || then.last != is.last) {
			t.Fatalf("the answer at offset %d is %+v after a compaction", is.last, then)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, rec := range []*record{nil, claimed("a", 0, -1), answeredBy(claimed("a", 0, 5), 1, 7)} {
		r := encode(DigestOf("k"), "a", rec)
		f.Add(r.Key, r.Value)
	}
	f.Add([]byte("zz.a"), []byte("{}"))
	f.Add([]byte(""), []byte(nil))
	f.Add([]byte("00112233445566778899aabbccddeeff.b"), []byte(`{"claim":"a"}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		d, claim, rec, err := decode(&eventlog.Record{Key: key, Value: value})
		if err != nil || rec == nil {
			return
		}
		s := newState(1)
		s.fold(d, rec, 5)
		s.free(d, claim)
		s.forget(rec.At)
		r := encode(d, claim, rec)
		if d2, claim2, again, err := decode(&r); err != nil || d2 != d || claim2 != claim || !bytes.Equal(encode(d, claim, again).Value, r.Value) {
			t.Errorf("encoded again it is %s %s %+v, %v", d2, claim2, again, err)
		}
	})
}
