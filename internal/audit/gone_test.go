package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/wire"
)

// forged signs a checkpoint as who has the machine can, with files of leaves that fit it.
func (r *rig) forged(c *checkpoint) {
	r.t.Helper()
	k := r.keep
	c.seq, c.time, c.prev = k.state.seq+1, r.now.Now(), k.state.last
	if err := k.sign(r.t.Context(), c); err != nil {
		r.t.Fatal(err)
	}
}

// Who has the machine changes a record, cuts the end off, signs that the topic was deleted, and then a tree of what is left of it. Every checkpoint has a good
// signature and follows the one before; that none lets a tree shrink is not enough.
func TestATopicThatGoesOnAfterItWasDeletedIsFound(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	for _, n := range [][2]int{{0, 20}, {20, 20}, {40, 1}} {
		r.emit("orders", n[0], n[1])
		r.sign()
	}
	r.clean()
	id := treeID{r.id("orders"), 0}
	r.rows(recordRow, func(_, v []byte) []byte {
		for i := 30; i <= 40; i++ {
			if bytes.Contains(v, fmt.Appendf(nil, "e-%05d", i)) {
				return nil
			}
		}
		return bytes.ReplaceAll(v, []byte("00250 EUR"), []byte("99999 EUR"))
	})
	f := treeFiles(filepath.Join(r.data, "audit"), id.topicID, 0)
	truncate(t, f.leaves, 20*entrySize)
	k := r.keep
	var err error
	if k.key, k.public, err = loadKey(k.Dir); err != nil {
		t.Fatal(err)
	}
	if k.check, err = ParseKey(k.public); err != nil {
		t.Fatal(err)
	}
	if err := k.recall(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr := &tree{id: id, topic: "orders", files: f, next: 20}
	if tr.front, err = frontierAt(20, f); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.follow(t.Context(), r.log, &hasher{}); err != nil || tr.front.n != 30 {
		t.Fatalf("the other history has %d records: %v", tr.front.n, err)
	}
	leaves, err := os.ReadFile(f.leaves)
	if err != nil {
		t.Fatal(err)
	}
	r.forged(&checkpoint{gone: []gone{{id.topicID, "orders"}}})
	if err := os.MkdirAll(filepath.Dir(f.leaves), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.leaves, leaves, 0o600); err != nil {
		t.Fatal(err)
	}
	k.trees[id] = tr
	r.forged(&checkpoint{head: []head{tr.head()}})
	k.ready = true
	k.bring(t.Context())

	says := func(report *wire.AuditReport, what string) {
		t.Helper()
		for _, f := range report.Findings {
			if f.Kind == rewritten && strings.Contains(f.What, what) {
				return
			}
		}
		t.Errorf("no finding %s says %q in %+v", rewritten, what, report.Findings)
	}
	report := r.verify()
	says(report, "checkpoint 5 has 30 records of orders/0, and checkpoint 4 says that the topic was deleted")
	says(report, "topic orders is there, and checkpoint 4 says that it was deleted")
	r.found(report, leafMissing, eventlog.Position{Topic: "orders", Offset: 35})
	r.found(report, logCut, eventlog.Position{Topic: "orders", Offset: 35})

	// The node goes on, past the sizes that were signed before: the roots of those do not fit.
	r.again()
	r.emit("orders", 100, 30)
	r.sign()
	r.found(r.verify(), rewritten, eventlog.Position{Topic: "orders", Offset: 25})
}

func TestATopicMadeAnewUnderItsNameIsClean(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
		r.emit("orders", 0, 20-5*i)
		r.sign()
		if err := r.log.DeleteTopic(t.Context(), "orders"); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			r.sign() // the others are deleted and made between two checkpoints
		}
	}
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 3)
	r.sign()
	r.clean()
}
