package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// grownRig is a log with five checkpoints: quiet has grown in none but the first, old is deleted by the third, late comes with the fourth.
func grownRig(t *testing.T) *rig {
	r := newRig(t)
	for _, name := range []string{"orders", "quiet", "old"} {
		r.topic(eventlog.Topic{Name: name, Partitions: 1})
		r.emit(name, 0, 3)
	}
	r.sign()
	r.emit("orders", 3, 300)
	r.sign()
	if err := r.log.DeleteTopic(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	r.emit("orders", 303, 1)
	r.sign()
	r.topic(eventlog.Topic{Name: "late", Partitions: 1})
	r.emit("late", 0, 3)
	r.sign()
	r.emit("orders", 304, 400)
	r.sign()
	return r
}

func TestGrowthIsProvedWithoutTheNode(t *testing.T) {
	r := grownRig(t)
	key, err := ParseKey(r.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to int64
		topic    string
		records  int64 // of the topics that are told
		topics   []string
		gone     []string
	}{
		{1, 5, "", 6, []string{"_dalamb.checkpoints", "orders", "quiet"}, []string{"old"}},
		{2, 5, "orders", 303, []string{"orders"}, nil},
		{2, 3, "quiet", 3, []string{"quiet"}, nil},
		{3, 4, "", 307, []string{"_dalamb.checkpoints", "orders", "quiet"}, nil},
		{1, 2, "old", 3, []string{"old"}, nil},
		{1, 3, "old", 0, nil, []string{"old"}},
	} {
		p, err := r.keep.ProveGrowth(t.Context(), c.from, c.to, c.topic)
		if err != nil {
			t.Fatalf("ProveGrowth(%d, %d, %q): %v", c.from, c.to, c.topic, err)
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		_, read, err := ReadProof(text)
		if err != nil {
			t.Fatal(err)
		}
		g, err := CheckGrowth(read, key)
		if err != nil {
			t.Fatalf("CheckGrowth from %d to %d of %q: %v", c.from, c.to, c.topic, err)
		}
		topics := slices.DeleteFunc(slices.Clone(g.Topics), func(name string) bool { return name == "_dalamb.checkpoints" })
		want := slices.DeleteFunc(slices.Clone(c.topics), func(name string) bool { return name == "_dalamb.checkpoints" })
		if !slices.Equal(topics, want) || !slices.Equal(g.Gone, c.gone) || c.topic != "" && g.Records != c.records || g.Records < c.records {
			t.Errorf("from %d to %d of %q: %+v, want %d records of %v, and %v deleted", c.from, c.to, c.topic, g, c.records, want, c.gone)
		}
		if len(p.Checkpoints) > 5 {
			t.Errorf("%d checkpoints in a proof", len(p.Checkpoints))
		}
	}
	for _, c := range []struct {
		from, to int64
		topic    string
		want     fault.Kind
	}{
		{2, 2, "", fault.Invalid}, {3, 1, "", fault.Invalid}, {0, 1, "", fault.Invalid}, {1, 6, "", fault.NotFound}, {1, 2, "late", fault.NotFound}, {1, 2, "none", fault.NotFound},
	} {
		if _, err := r.keep.ProveGrowth(t.Context(), c.from, c.to, c.topic); fault.KindOf(err) != c.want {
			t.Errorf("ProveGrowth(%d, %d, %q) = %v, want %v", c.from, c.to, c.topic, err, c.want)
		}
	}
	// A node that has just started answers as well.
	r.again()
	if _, err := r.keep.ProveGrowth(t.Context(), 1, 5, ""); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestAProofOfGrowthThatWasAlteredDoesNotHold(t *testing.T) {
	r := grownRig(t)
	key, err := ParseKey(r.key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.keep.ProveGrowth(t.Context(), 2, 3, "")
	if err != nil {
		t.Fatal(err)
	}
	orders := func(p *wire.AuditGrowth) *wire.AuditGrown {
		i := slices.IndexFunc(p.Trees, func(g wire.AuditGrown) bool { return g.TopicID == r.id("orders") })
		return &p.Trees[i]
	}
	for name, alter := range map[string]func(p *wire.AuditGrowth){
		"a hash changed":              func(p *wire.AuditGrowth) { orders(p).Hashes[0][3]++ },
		"a hash cut":                  func(p *wire.AuditGrowth) { orders(p).Hashes[0] = orders(p).Hashes[0][:31] },
		"a hash left out":             func(p *wire.AuditGrowth) { orders(p).Hashes = orders(p).Hashes[1:] },
		"too many hashes":             func(p *wire.AuditGrowth) { orders(p).Hashes = make([][]byte, 1000) },
		"a tree left out":             func(p *wire.AuditGrowth) { p.Trees = p.Trees[1:] },
		"a tree twice":                func(p *wire.AuditGrowth) { p.Trees = append(p.Trees, p.Trees[0]) },
		"a deletion left out":         func(p *wire.AuditGrowth) { p.Gone = nil },
		"a deletion that nobody said": func(p *wire.AuditGrowth) { p.Gone = append(p.Gone, wire.AuditGone{TopicID: "x", Checkpoint: 3}) },
		"a deletion by another":       func(p *wire.AuditGrowth) { p.Gone[0].Checkpoint = 5 },
		"as if it had not grown":      func(p *wire.AuditGrowth) { orders(p).To, orders(p).Hashes = 1, nil },
		"another checkpoint named":    func(p *wire.AuditGrowth) { orders(p).To = 3 },
		"a checkpoint twice":          func(p *wire.AuditGrowth) { p.Checkpoints = append(p.Checkpoints, p.Checkpoints[0]) },
		"a checkpoint left out":       func(p *wire.AuditGrowth) { p.Checkpoints = p.Checkpoints[1:] },
		"a checkpoint changed":        func(p *wire.AuditGrowth) { p.Checkpoints[0] = strings.Replace(p.Checkpoints[0], "orders", "oorder", 1) },
		"the other way round":         func(p *wire.AuditGrowth) { p.From, p.To = p.To, p.From },
		"other numbers":               func(p *wire.AuditGrowth) { p.From = 4 },
		"trees of another proof":      func(p *wire.AuditGrowth) { p.Trees = other.Trees },
		"as if of one topic":          func(p *wire.AuditGrowth) { p.Topic = "quiet" },
	} {
		p, err := r.keep.ProveGrowth(t.Context(), 1, 5, "")
		if err != nil {
			t.Fatal(err)
		}
		alter(p)
		if g, err := CheckGrowth(p, key); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: CheckGrowth = %+v, %v, want that it does not hold", name, g, err)
		}
	}
}

// Who has the key signs another history of a topic in between, and takes it back or hides it: what is left out is missed, whichever it is.
func TestAProofOfGrowthHasEveryCheckpoint(t *testing.T) {
	r := grownRig(t)
	key, err := ParseKey(r.key)
	if err != nil {
		t.Fatal(err)
	}
	r.emit("quiet", 3, 1)
	r.sign()
	for from := int64(1); from < 6; from++ {
		p, err := r.keep.ProveGrowth(t.Context(), from, 6, "")
		if err != nil {
			t.Fatal(err)
		}
		all := p.Checkpoints
		for i := range all {
			p.Checkpoints = slices.Delete(slices.Clone(all), i, i+1)
			if g, err := CheckGrowth(p, key); fault.KindOf(err) != fault.Conflict {
				t.Errorf("from %d, without the checkpoint at %d of %d: CheckGrowth = %+v, %v, want that it does not hold", from, i, len(all), g, err)
			}
		}
	}
	text := func(seq int64, prev string, h ...head) string {
		c := checkpoint{seq: seq, time: r.now.Now(), head: h}
		if prev != "" {
			c.prev = hashOf([]byte(prev))
		}
		raw, err := sign(c.text(), r.keep.key)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	id := treeID{"a", 0}
	one := text(1, "", head{id: id, topic: "orders", size: 5, end: 5, root: tlog.Hash{1}})
	two := text(2, one, head{id: id, topic: "orders", size: 6, end: 6, root: tlog.Hash{2}})
	three := text(3, two, head{id: treeID{"b", 0}, topic: "others", size: 1, end: 1, root: tlog.Hash{3}})
	hidden := text(3, one, head{id: treeID{"b", 0}, topic: "others", size: 1, end: 1, root: tlog.Hash{3}})
	for _, checkpoints := range [][]string{{one, three}, {one, hidden}, {one, two, hidden}, {one, two, three}} {
		for _, to := range []int64{1, 2} {
			p := &wire.AuditGrowth{Form: wire.AuditGrowthForm, From: 1, To: 3, Checkpoints: checkpoints, Trees: []wire.AuditGrown{{TopicID: "a", From: 1, To: to}}}
			if g, err := CheckGrowth(p, key); fault.KindOf(err) != fault.Conflict {
				t.Errorf("CheckGrowth of another history in %d checkpoints = %+v, %v", len(checkpoints), g, err)
			}
		}
	}
}

// What a proof costs does not grow with the age of the log: it looks back so far, and holds so much.
func TestAProofOfGrowthIsBounded(t *testing.T) {
	r := grownRig(t)
	key, err := ParseKey(r.key)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r.emit("late", 3, 1)
		r.sign()
	}
	p, err := r.keep.proveGrowth(t.Context(), 20, 25, "", growthBounds{reach: 4, bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	g, err := CheckGrowth(p, key)
	if err != nil || g.First < 16 || g.First > 20 || len(p.Checkpoints) > 10 || slices.Contains(g.Topics, "quiet") || !slices.Contains(g.Topics, "late") {
		t.Errorf("CheckGrowth = %+v, %v, of %d checkpoints; want what has grown of late", g, err, len(p.Checkpoints))
	}
	if p, err = r.keep.ProveGrowth(t.Context(), 20, 25, ""); err != nil || len(p.Checkpoints) != 25 {
		t.Errorf("ProveGrowth = %v, want it from the checkpoint that has quiet", err)
	}
	size := len(p.Checkpoints[24])
	if _, err := r.keep.proveGrowth(t.Context(), 20, 25, "quiet", growthBounds{reach: 4, bytes: 1 << 20}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a proof of what has not grown for long: %v, want NotFound", err)
	}
	if p, err = r.keep.proveGrowth(t.Context(), 20, 25, "", growthBounds{reach: 1000, bytes: 7*size + size/2}); err != nil || len(p.Checkpoints) > 7 {
		t.Errorf("a proof with room for seven: %v", err)
	} else if _, err := CheckGrowth(p, key); err != nil {
		t.Error(err)
	}
	if _, err := r.keep.proveGrowth(t.Context(), 10, 25, "", growthBounds{reach: 1000, bytes: 7 * size}); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("a proof without room: %v, want TooLarge", err)
	}
}

// Who has the machine signs another history of a topic, with the node's key. The proof of that does not hold: the earlier tree is not in the later one.
func TestNoGrowthIsProvedOfAnotherHistory(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 20)
	r.sign()
	k := r.keep
	id := treeID{r.id("orders"), 0}
	tr := &tree{id: id, topic: "orders", files: treeFiles(t.TempDir(), id.topicID, 0)}
	var h hasher
	for i := range 30 {
		rec := r.recordAt(eventlog.Position{Topic: "orders", Offset: int64(i % 20)})
		rec.Offset, rec.Value = int64(i), bytes.ReplaceAll(rec.Value, []byte("EUR"), []byte("USD"))
		tr.front.add(h.leaf(id.topicID, rec))
	}
	tr.next = 30
	r.forged(&checkpoint{head: []head{tr.head()}})
	if _, err := k.ProveGrowth(t.Context(), 1, 2, ""); err == nil {
		t.Error("ProveGrowth of another history: want that none can be made")
	}
}
