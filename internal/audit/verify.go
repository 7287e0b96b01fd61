package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Kinds of findings.
const (
	recordChanged = "record-changed" // a record is not what its leaf is the hash of
	recordMissing = "record-missing" // a record is not there, and neither retention nor compaction takes such
	recordAdded   = "record-added"   // a record stands between others, and was not there when those were hashed
	unreadable    = "unreadable"     // the engine cannot read it
	logCut        = "log-cut"        // the end of a partition, or of the checkpoints, is not there
	topicMissing  = "topic-missing"  // a topic is not there, and no checkpoint says that it was deleted
	leafDamaged   = "leaf-damaged"   // a kept leaf, or the hash of a tile of them
	leafMissing   = "leaf-missing"   // kept leaves that were signed are not there
	rewritten     = "rewritten"      // what is there is not what was signed
	badCheckpoint = "checkpoint"     // a checkpoint, or what is kept of them
)

// Reader is what is read of a log that is verified.
type Reader interface {
	Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error)
}

// VerifyLog is a log that is verified. It may be a copy.
type VerifyLog interface {
	Reader
	Topics(ctx context.Context) ([]eventlog.Topic, error)
	Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error)
}

// VerifyOptions of Verify. Log and Dir are required.
type VerifyOptions struct {
	Log     VerifyLog
	Dir     string        // of the key, the leaves and the state
	Key     note.Verifier // nil = that of Dir, which proves less: who can change Dir can change it
	Outside []byte        // checkpoints that were kept elsewhere
	From    string        // where they were, for people
	Topic   string        // "" = all
}

// Verify reads a log, its leaves and the checkpoints, and says what is not as it was signed. Its error is that it could not do so.
func Verify(ctx context.Context, o VerifyOptions) (*wire.AuditReport, error) {
	v, err := newVerifier(o)
	if err != nil {
		return nil, err
	}
	outside, last := v.outside()
	if err := v.checkpoints(ctx, outside, last); err != nil {
		return nil, err
	}
	if err := v.trees(ctx); err != nil {
		return nil, err
	}
	return v.report, nil
}

// Unreadable is the report on a log that cannot even be opened, because of a file or a directory that is damaged. Its options have no Log.
func Unreadable(o VerifyOptions, file string, why error) (*wire.AuditReport, error) {
	v, err := newVerifier(o)
	if err != nil {
		return nil, err
	}
	if all, last := v.outside(); last > 0 {
		v.report.Checkpoints, v.report.Last, v.report.Time = int64(len(all)), last, all[last].time
	}
	v.report.Findings = append(v.report.Findings, wire.AuditFinding{Kind: unreadable, File: file, Offset: -1, To: -1, What: "nothing is compared: " + firstLine(why)})
	return v.report, nil
}

// newVerifier looks at the keys. Without one that was given, that of the directory is believed, and is to be whole; with one, a copy need have none: who
// only compares has no use for what signs.
func newVerifier(o VerifyOptions) (*verifier, error) {
	v := &verifier{VerifyOptions: o, report: &wire.AuditReport{Findings: []wire.AuditFinding{}}, heads: map[treeID][]signedHead{}, gone: map[string]int64{}}
	own, err := KeyOf(o.Dir)
	if err == nil {
		_, _, err = readKey(o.Dir)
	}
	if err != nil && (v.Key == nil || !errors.Is(err, os.ErrNotExist)) {
		v.find(badCheckpoint, "the key of the audit: %v", err)
	}
	if v.Key == nil {
		v.Key = own
	}
	if v.Key == nil {
		return nil, err
	}
	v.report.Key = keyText(v.Key.Name(), v.Key.KeyHash())
	return v, nil
}

type verifier struct {
	VerifyOptions
	report *wire.AuditReport
	blind  bool // the log's own checkpoints cannot all be read, so that one is not there says nothing
	state  state
	heads  map[treeID][]signedHead // in the order of their sizes
	gone   map[string]int64        // ids of topics that were deleted, and the checkpoint that says so
}

// signedHead is a tree as one checkpoint has it.
type signedHead struct {
	head
	seq    int64
	signed time.Time
}

// find adds a finding about no offset.
func (v *verifier) find(kind, format string, args ...any) {
	v.report.Findings = append(v.report.Findings, wire.AuditFinding{Kind: kind, Offset: -1, To: -1, What: fmt.Sprintf(format, args...)})
}

// outside are the checkpoints that were kept elsewhere, and the number of the last of them.
func (v *verifier) outside() (all map[int64]*Signed, last int64) {
	all = map[int64]*Signed{}
	for i, piece := range pieces(v.Outside) {
		c, err := openCheckpoint(piece, v.Key)
		if err != nil {
			v.find(badCheckpoint, "checkpoint %d of those in %s %v", i+1, v.From, err)
			continue
		}
		if old := all[c.seq]; old != nil && !bytes.Equal(old.raw, c.raw) {
			v.find(rewritten, "%s has two checkpoints %d, which say different things", v.From, c.seq)
		}
		all[c.seq], last = c, max(last, c.seq)
	}
	v.report.Outside, v.report.OutsideLast = int64(len(all)), last
	return all, last
}

// checkpoints folds those of the log and those outside, which all has up to the number last. What was kept outside is believed where the two differ.
func (v *verifier) checkpoints(ctx context.Context, all map[int64]*Signed, last int64) error {
	logged, err := v.logged(ctx)
	if err != nil {
		return err
	}
	outsideLast := last
	for seq, c := range logged {
		switch out := all[seq]; {
		case out == nil:
			all[seq] = c
		case !bytes.Equal(out.raw, c.raw):
			v.find(rewritten, "checkpoint %d in the log is not the one in %s", seq, v.From)
		}
		last = max(last, seq)
	}
	for seq := int64(1); seq <= outsideLast && !v.blind; seq++ {
		if logged[seq] == nil && all[seq] != nil {
			v.find(logCut, "checkpoint %d of %s, signed %s, is not in the log", seq, v.From, clock(all[seq].time))
		}
	}
	if last == 0 {
		v.find(badCheckpoint, "no checkpoint is signed by the key %s", v.report.Key)
	}
	v.fold(all, last)
	v.kept()
	return nil
}

// logged are the checkpoints in the log.
func (v *verifier) logged(ctx context.Context) (map[int64]*Signed, error) {
	out := map[int64]*Signed{}
	err := readCheckpoints(ctx, v.Log, 0, v.Key, func(c *Signed, at int64, err error) error {
		if err != nil {
			v.find(badCheckpoint, "the checkpoint at %s/0@%d %v", function.TopicCheckpoints, at, err)
			return nil
		}
		if old := out[c.seq]; old != nil && !bytes.Equal(old.raw, c.raw) {
			v.find(rewritten, "the log has two checkpoints %d, which say different things", c.seq)
		}
		out[c.seq] = c
		return nil
	})
	if fault.KindOf(err) == fault.NotFound {
		return out, nil // no topic; that no checkpoint is there is told
	}
	if err != nil && ctx.Err() == nil && !v.silent(ctx, eventlog.Partition{Topic: function.TopicCheckpoints}, err) {
		v.find(unreadable, "%s", firstLine(err))
		v.blind = true
		return out, nil
	}
	return out, err
}

// away says of an error that the log was not reached, or does not let in who reads: nothing is known of what it holds.
func away(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Timeout, fault.Exhausted, fault.Denied, fault.Unauthenticated:
		return true
	}
	return false
}

// silent says of an error of Read that it is the log's whole, and not that of some records: a client takes a batch that is spoilt for a broker that is away,
// but then the broker still says where the partition ends.
func (v *verifier) silent(ctx context.Context, p eventlog.Partition, err error) bool {
	switch fault.KindOf(err) {
	case fault.Denied, fault.Unauthenticated:
		return true
	}
	if !away(err) {
		return false
	}
	_, err = v.Log.Bounds(ctx, p)
	return err != nil && away(err)
}

func (v *verifier) fold(all map[int64]*Signed, last int64) {
	for seq := int64(1); seq <= last; seq++ {
		c := all[seq]
		if c == nil {
			v.find(badCheckpoint, "checkpoint %d is missing", seq)
			continue
		}
		if err := v.state.take(c, 0); err != nil {
			v.find(badCheckpoint, "%v", err)
			v.state.seq, v.state.last = seq-1, c.prev
			if err := v.state.take(c, 0); err != nil {
				continue // it lets a tree shrink, which is told
			}
		}
		v.report.Checkpoints, v.report.Last, v.report.Time = v.report.Checkpoints+1, seq, c.time
		for _, h := range c.head {
			// One that is made anew has another id. Only who hides what was signed begins a tree again: such a root says nothing of the records.
			if at := v.gone[h.id.topicID]; at > 0 {
				v.find(rewritten, "checkpoint %d has %d records of %s/%d, and checkpoint %d says that the topic was deleted", seq, h.size, h.topic, h.id.partition, at)
				continue
			}
			v.heads[h.id] = append(v.heads[h.id], signedHead{h, seq, c.time})
		}
		for _, g := range c.gone {
			v.gone[g.topicID] = seq
		}
	}
}

// kept looks at the state that the node keeps: a node that cannot read it stands still.
func (v *verifier) kept() {
	path := filepath.Join(v.Dir, stateFile)
	sealed, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err == nil {
		var own note.Verifier
		if own, err = KeyOf(v.Dir); errors.Is(err, os.ErrNotExist) {
			own, err = v.Key, nil // that of a copy
		}
		if err == nil {
			_, err = openState(sealed, own)
		}
	}
	if err != nil {
		v.find(badCheckpoint, "%s %v", path, err)
	}
}

// trees walks those that were signed, and those that have leaves.
func (v *verifier) trees(ctx context.Context) error {
	topics, err := v.Log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	there := map[string]bool{}
	for _, t := range topics {
		there[t.ID] = true
		if v.Topic != "" && t.Name != v.Topic {
			continue
		}
		if at := v.gone[t.ID]; at > 0 {
			v.find(rewritten, "topic %s is there, and checkpoint %d says that it was deleted", t.Name, at)
		}
		for p := range t.Partitions {
			w := &walk{v: v, topic: t, id: treeID{t.ID, p}, heads: v.heads[treeID{t.ID, p}], files: treeFiles(v.Dir, t.ID, p)}
			if err := w.run(ctx); err != nil {
				return err
			}
		}
		for id, heads := range v.heads {
			if id.topicID == t.ID && id.partition >= t.Partitions {
				v.find(topicMissing, "partition %d of topic %s is not there, and checkpoint %d has %d records of it", id.partition, t.Name, heads[len(heads)-1].seq, heads[len(heads)-1].size)
			}
		}
	}
	if v.Topic != "" && !slices.ContainsFunc(topics, func(t eventlog.Topic) bool { return t.Name == v.Topic }) {
		return eventlog.NoTopic(v.Topic)
	}
	told := map[string]bool{}
	for _, heads := range v.heads {
		h := &heads[len(heads)-1]
		if id := h.id.topicID; v.Topic == "" && !there[id] && v.gone[id] == 0 && !told[id] {
			told[id] = true
			v.find(topicMissing, "topic %s (%s) is not there, and no checkpoint says that it was deleted", h.topic, id)
		}
	}
	return v.strange(there)
}

// strange tells of leaves of topics that nothing else tells of.
func (v *verifier) strange(there map[string]bool) error {
	dirs, err := os.ReadDir(filepath.Join(v.Dir, treesDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("list leaves: %w", err)
	}
	known := map[string]bool{}
	for id := range v.heads {
		known[id.topicID] = true
	}
	for _, d := range dirs {
		id, err := hex.DecodeString(d.Name())
		if v.Topic == "" && (err != nil || !there[string(id)] && !known[string(id)]) {
			v.find(topicMissing, "%s has leaves of a topic that is not there, and no checkpoint says that it was deleted", filepath.Join(v.Dir, treesDir, d.Name()))
		}
	}
	return nil
}
