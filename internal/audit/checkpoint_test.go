package audit

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/function"
)

func TestCheckpointsFollowOneAnother(t *testing.T) {
	private, _, err := note.GenerateKey(nil, "node")
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	tree := func(partition int32, size int64) head {
		return head{id: treeID{"id", partition}, topic: "orders", size: size, end: size}
	}
	signed := func(c checkpoint) *Signed {
		c.time = time.UnixMilli(1_700_000_000_000)
		raw, err := sign(c.text(), key)
		if err != nil {
			t.Fatal(err)
		}
		return &Signed{c, raw}
	}
	first := signed(checkpoint{seq: 1, head: []head{tree(0, 5), tree(1, 3)}})
	other := signed(checkpoint{seq: 1, head: []head{tree(0, 6)}})
	for name, c := range map[string]*Signed{
		"the same again":           first,
		"one left out":             signed(checkpoint{seq: 3, prev: hashOf(first.raw)}),
		"one of another history":   signed(checkpoint{seq: 2, prev: hashOf(other.raw)}),
		"a tree that shrinks":      signed(checkpoint{seq: 2, prev: hashOf(first.raw), head: []head{tree(0, 4)}}),
		"a tree that is as it was": signed(checkpoint{seq: 2, prev: hashOf(first.raw), head: []head{tree(0, 5)}}),
	} {
		var s state
		if err := s.take(first, 0); err != nil {
			t.Fatal(err)
		}
		if err := s.take(c, 1); err == nil || s.seq != 1 || s.trees[treeID{"id", 0}].size != 5 {
			t.Errorf("%s: %v, and the state is at %d; want an error that changes nothing", name, err, s.seq)
		}
	}
	var s state
	for i, c := range []*Signed{first, signed(checkpoint{seq: 2, prev: hashOf(first.raw), head: []head{tree(0, 9)}, gone: []gone{{"other", "old"}}})} {
		if err := s.take(c, int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if s.seq != 2 || s.trees[treeID{"id", 0}].size != 9 || s.trees[treeID{"id", 1}].size != 3 || s.next != 2 {
		t.Errorf("state = %+v, want the newer tree and the one that has not grown", s)
	}
}

func TestBadCheckpointsAreRefused(t *testing.T) {
	good := (&checkpoint{seq: 1, time: time.UnixMilli(1_700_000_000_000), head: []head{{id: treeID{"id", 0}, topic: function.TopicEvents, size: 5, end: 7}}}).text()
	if _, err := parseCheckpoint(good); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":              "",
		"another kind":       strings.Replace(good, "checkpoint v1", "checkpoint v2", 1),
		"the state":          strings.Replace(good, checkpointKind, stateKind, 1),
		"number 0":           strings.Replace(good, "\n1\n", "\n0\n", 1),
		"number with a sign": strings.Replace(good, "\n1\n", "\n+1\n", 1),
		"no tree":            strings.Replace(good, "tree ", "treehouse ", 1),
		"no size":            strings.Replace(good, " 5 7 ", " 0 7 ", 1),
		"more than offsets":  strings.Replace(good, " 5 7 ", " 8 7 ", 1),
		"negative partition": strings.Replace(good, "id 0 ", "id -1 ", 1),
		"partition too high": strings.Replace(good, "id 0 ", "id 4294967296 ", 1),
		"a space more":       strings.Replace(good, "id 0 ", "id  0 ", 1),
		"a short root":       strings.Replace(good, "AAAA= events", "AA= events", 1),
		"no line end":        strings.TrimSuffix(good, "\n"),
		"a line more":        good + "\n",
	} {
		if text == good {
			t.Fatalf("%s is no other text", name)
		}
		if _, err := parseCheckpoint(text); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
