package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// State is how far the audit is.
func (k *Keeper) State() wire.Audit {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := wire.Audit{On: true, Key: k.public, Checkpoint: k.state.seq, Time: k.state.time, Trees: len(k.state.trees), Outside: k.Outside.String(), Except: k.Except, EverySecs: k.Every.Seconds()}
	for _, h := range k.state.trees {
		out.Records += h.size
	}
	if k.trouble != nil {
		out.Trouble = k.trouble.Error()
	}
	for _, err := range k.behind {
		out.Behind = append(out.Behind, err.Error())
	}
	slices.Sort(out.Behind)
	if out.Missing, out.OutsideTrouble = k.bringer.missing(k.state.seq, k.Now()); out.OutsideTrouble == out.Trouble {
		out.OutsideTrouble = "" // what stands outside is why it stands still
	}
	return out
}

// Prove makes the proof that a record is in the tree that was signed last. Where it is not yet, a checkpoint is signed first.
func (k *Keeper) Prove(ctx context.Context, at eventlog.Position) (*wire.AuditProof, error) {
	topicID, err := k.topicID(ctx, at.Topic)
	if err != nil {
		return nil, err
	}
	id := treeID{topicID, at.Partition}
	if err := k.signFor(ctx, id, at); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble != nil {
		return nil, fault.New(fault.Unavailable, "the audit stands still: %w", k.trouble).WithHint("docs/audit.md says what to do then")
	}
	h := k.state.trees[id]
	if h == nil {
		return nil, fault.New(fault.NotFound, "no record of %s/%d is in a checkpoint", at.Topic, at.Partition).WithHint("dalamb audit tells which topics are left out, and how far it is")
	}
	c, err := k.checkpointAt(ctx, h.at)
	if err != nil {
		return nil, err
	}
	f := treeFiles(k.Dir, id.topicID, id.partition)
	i, e, err := f.find(h.size, at.Offset)
	if errors.Is(err, errNoLeaf) {
		return nil, fault.New(fault.NotFound, "no record at %s/%d@%d is in a checkpoint", at.Topic, at.Partition, at.Offset).
			WithHint("it was never there, was gone before the audit began, or comes only now")
	}
	if err != nil {
		return nil, err
	}
	hashes, err := tlog.ProveRecord(h.size, i, f)
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d of %s/%d: %w", i, at.Topic, at.Partition, err)
	}
	p := &wire.AuditProof{
		Form: wire.AuditProofForm, Topic: at.Topic, TopicID: topicID, Partition: at.Partition, Offset: at.Offset, Leaf: e.hash[:], Index: i, Size: h.size,
		Hashes: [][]byte{}, Checkpoint: string(c.raw),
	}
	for _, hash := range hashes {
		p.Hashes = append(p.Hashes, hash[:])
	}
	if p.Record, err = k.recordAt(ctx, at); err != nil {
		return nil, err
	}
	if _, err := checkProof(p, k.check); err != nil { // what is changed is for verify to tell, and no proof
		return nil, fault.New(fault.Conflict, "no proof can be made of %s/%d@%d: %w", at.Topic, at.Partition, at.Offset, err).WithHint("dalamb audit verify finds what is not as it was")
	}
	return p, nil
}

// askEvery is how far apart checkpoints are that somebody asks for.
const askEvery = 2 * time.Second

// signFor signs a checkpoint so that a record gets into it: not for one that the log does not have or that is left out, and not too often, since each stays
// for good and who may read can ask without end.
func (k *Keeper) signFor(ctx context.Context, id treeID, at eventlog.Position) error {
	if k.covers(id, at.Offset) {
		return nil
	}
	if err := k.begun(ctx); err != nil || k.covers(id, at.Offset) {
		return err
	}
	if k.leavesOut(at.Topic) {
		return fault.New(fault.NotFound, "no record of %s is in a checkpoint: the audit leaves the topic out", at.Topic)
	}
	b, err := k.Log.Bounds(ctx, eventlog.Partition{Topic: at.Topic, ID: at.Partition})
	if err != nil {
		return fmt.Errorf("read the bounds of %s/%d: %w", at.Topic, at.Partition, err)
	}
	if at.Offset < b.Start || at.Offset >= b.End {
		return fault.New(fault.NotFound, "no record at %s/%d@%d is in a checkpoint", at.Topic, at.Partition, at.Offset).
			WithHint("it was never there, or was gone before the audit began")
	}
	if err := k.mayBeSigned(ctx); err != nil {
		return err
	}
	for !k.covers(id, at.Offset) {
		k.mu.Lock()
		wait := time.Until(k.turn)
		if wait <= 0 {
			k.turn = time.Now().Add(askEvery)
		}
		k.mu.Unlock()
		if wait <= 0 {
			return k.round(ctx, true)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// begun sees to it that what was signed before is known, which a node that starts may not know yet.
func (k *Keeper) begun(ctx context.Context) error {
	k.mu.Lock()
	ready := k.ready || k.trouble != nil
	k.mu.Unlock()
	if ready {
		return nil
	}
	return k.round(ctx, false)
}

// mayBeSigned waits, not for long, until it is known what is outside: nothing is signed before.
func (k *Keeper) mayBeSigned(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	select {
	case <-k.bringer.looked:
		return nil
	case <-wait.Done():
	}
	if s := k.State(); s.Trouble == "" && ctx.Err() == nil {
		return fault.New(fault.Unavailable, "nothing is signed before the node knows what is in %s", s.Outside).WithHint("dalamb audit says what holds it up")
	}
	return context.Cause(ctx)
}

// covers says whether a record is in what was signed already.
func (k *Keeper) covers(id treeID, offset int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.state.trees[id]
	return h != nil && offset < h.end
}

func (k *Keeper) topicID(ctx context.Context, name string) (string, error) {
	topics, err := k.Log.Topics(ctx)
	if err != nil {
		return "", fmt.Errorf("list topics: %w", err)
	}
	i := slices.IndexFunc(topics, func(t eventlog.Topic) bool { return t.Name == name })
	if i < 0 {
		return "", eventlog.NoTopic(name)
	}
	return topics[i].ID, nil
}

// checkpointAt reads one checkpoint from the log.
func (k *Keeper) checkpointAt(ctx context.Context, offset int64) (*Signed, error) {
	rs, err := k.Log.Read(ctx, eventlog.Partition{Topic: function.TopicCheckpoints}, offset, eventlog.ReadOptions{NoWait: true, MaxRecords: 1})
	if err != nil {
		return nil, fmt.Errorf("read a checkpoint: %w", err)
	}
	if len(rs) == 0 || rs[0].Offset != offset {
		return nil, fmt.Errorf("read a checkpoint: there is none at %s/0@%d", function.TopicCheckpoints, offset)
	}
	e, err := eventlog.ToEvent(rs[0])
	if err != nil {
		return nil, err
	}
	c, err := openCheckpoint(e.Data, k.check)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint at %s/0@%d %w", function.TopicCheckpoints, offset, err)
	}
	return c, nil
}

// recordAt is nil where the log has the record no more.
func (k *Keeper) recordAt(ctx context.Context, at eventlog.Position) (*wire.AuditRecord, error) {
	rs, err := k.Log.Read(ctx, eventlog.Partition{Topic: at.Topic, ID: at.Partition}, at.Offset, eventlog.ReadOptions{NoWait: true, MaxRecords: 1})
	if err != nil {
		return nil, fmt.Errorf("read %s/%d@%d: %w", at.Topic, at.Partition, at.Offset, err)
	}
	if len(rs) == 0 || rs[0].Offset != at.Offset {
		return nil, nil
	}
	r := &rs[0]
	out := &wire.AuditRecord{Time: r.Time.UTC(), Key: r.Key, Headers: []wire.AuditHeader{}, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, wire.AuditHeader{Name: h.Name, Value: h.Value})
	}
	return out, nil
}

// maxProof is how long a proof may be: one of the largest record that a log takes, twice in base64.
const maxProof = 64 << 20

// ReadProof reads a proof, which anybody may have made: of a record, or, the other is nil then, of growth.
func ReadProof(text []byte) (*wire.AuditProof, *wire.AuditGrowth, error) {
	if len(text) > maxProof {
		return nil, nil, badProof("has %d bytes; at most %d", len(text), maxProof)
	}
	var head struct{ Form string }
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, nil, badProof("cannot be read: %w", err)
	}
	switch head.Form {
	case wire.AuditProofForm:
		p := &wire.AuditProof{}
		return p, nil, readStrictly(text, p)
	case wire.AuditGrowthForm:
		p := &wire.AuditGrowth{}
		return nil, p, readStrictly(text, p)
	}
	return nil, nil, badProof("has the form %q, and this dalamb reads %q and %q", fault.Clip(head.Form), wire.AuditProofForm, wire.AuditGrowthForm)
}

func readStrictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badProof("cannot be read: %w", err)
	}
	return nil
}

func badProof(format string, args ...any) error {
	return fault.New(fault.Invalid, "the proof "+format, args...).WithHint("dalamb audit prove makes one")
}

// Proved is what a proof proves.
type Proved struct {
	Checkpoint int64
	Time       time.Time // of the checkpoint, by the clock of who signed
	Key        string    // NAME+HASH of who signed
}

// Check says what a proof proves; an error says why it proves nothing. It needs no node.
func Check(p *wire.AuditProof, key note.Verifier) (*Proved, error) {
	c, err := checkProof(p, key)
	if err != nil {
		return nil, fault.New(fault.Conflict, "the proof does not hold: %w", err)
	}
	return &Proved{c.seq, c.time, keyText(key.Name(), key.KeyHash())}, nil
}

func checkProof(p *wire.AuditProof, key note.Verifier) (*Signed, error) {
	c, err := openCheckpoint([]byte(p.Checkpoint), key)
	if err != nil {
		return nil, fmt.Errorf("its checkpoint %w", err)
	}
	i := slices.IndexFunc(c.head, func(h head) bool { return h.id == treeID{p.TopicID, p.Partition} })
	if i < 0 {
		return nil, fmt.Errorf("its checkpoint says nothing of partition %d of a topic with the id %q", p.Partition, fault.Clip(p.TopicID))
	}
	h := &c.head[i]
	switch {
	case h.topic != p.Topic:
		return nil, fmt.Errorf("its checkpoint calls the topic %s, and not %q", h.topic, fault.Clip(p.Topic))
	case h.size != p.Size:
		return nil, fmt.Errorf("its checkpoint has %d records of %s/%d, and not %d", h.size, h.topic, h.id.partition, p.Size)
	case p.Offset < p.Index || p.Offset >= h.end:
		return nil, fmt.Errorf("offset %d cannot be leaf %d of a tree that ends at offset %d", p.Offset, p.Index, h.end)
	case len(p.Leaf) != tlog.HashSize:
		return nil, fmt.Errorf("its leaf has %d bytes, and not %d", len(p.Leaf), tlog.HashSize)
	case len(p.Hashes) > 64:
		return nil, fmt.Errorf("it has %d hashes, more than any tree is high", len(p.Hashes))
	}
	hashes := make(tlog.RecordProof, len(p.Hashes))
	for i, b := range p.Hashes {
		if len(b) != tlog.HashSize {
			return nil, fmt.Errorf("a hash has %d bytes, and not %d", len(b), tlog.HashSize)
		}
		hashes[i] = tlog.Hash(b)
	}
	if err := tlog.CheckRecord(hashes, p.Size, h.root, p.Index, tlog.Hash(p.Leaf)); err != nil {
		return nil, errors.New("its hashes do not lead from the leaf to the root that was signed")
	}
	if p.Record != nil && leafOf(p, p.Record) != tlog.Hash(p.Leaf) {
		return nil, errors.New("its record, or where it says that it stood, is not what the leaf is the hash of")
	}
	return c, nil
}

// leafOf is the hash of a record that stands where the proof says.
func leafOf(p *wire.AuditProof, r *wire.AuditRecord) tlog.Hash {
	rec := eventlog.Record{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset, Time: r.Time, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		rec.Headers = append(rec.Headers, eventlog.Header{Name: h.Name, Value: h.Value})
	}
	var h hasher
	return h.leaf(p.TopicID, &rec)
}

// CheckEvent says whether a proof that holds is one of an event: of a CloudEvent in JSON, or of a line of dalamb events -o json, which also has the time that
// a proof without its record lacks. White space in the data of an event counts only where the proof is without its record.
func CheckEvent(p *wire.AuditProof, text []byte) error {
	var line wire.EventAt
	if err := json.Unmarshal(text, &line); err != nil {
		return fault.New(fault.Invalid, "the event cannot be read: %w", err)
	}
	if line.Event == nil {
		line.Event = text
		line.Time = time.Time{}
	}
	e := &event.Event{}
	if err := e.UnmarshalJSON(line.Event); err != nil {
		return fault.New(fault.Invalid, "the event cannot be read: %w", err).WithHint("a CloudEvent in JSON, or a line of dalamb events -o json")
	}
	key, value, headers := e.ToRecord()
	r := &wire.AuditRecord{Time: line.Time, Key: key, Value: value}
	for _, h := range headers {
		r.Headers = append(r.Headers, wire.AuditHeader{Name: h.Name, Value: h.Value})
	}
	if r.Time.IsZero() {
		if p.Record == nil {
			return fault.New(fault.Invalid, "the proof is without its record, which the log had no more, and the event does not say when it was logged").
				WithHint("give the line that dalamb events -o json printed of it, while it was there")
		}
		r.Time = p.Record.Time
	}
	if p.Record != nil && sameJSON(r.Value, p.Record.Value) {
		r.Value = p.Record.Value
	}
	if sameOrder(p, r); leafOf(p, r) != tlog.Hash(p.Leaf) {
		return fault.New(fault.Conflict, "the proof is of another event: %s is not what was logged at %s/%d@%d", fault.Clip(e.ID), p.Topic, p.Partition, p.Offset)
	}
	return nil
}

// sameJSON says whether two texts are the same JSON but for white space and for how characters are escaped: who prints an event does not keep these.
func sameJSON(a, b []byte) bool {
	if !json.Valid(a) || !json.Valid(b) {
		return false
	}
	one, other := json.NewDecoder(bytes.NewReader(a)), json.NewDecoder(bytes.NewReader(b))
	one.UseNumber()
	other.UseNumber()
	for {
		x, end := one.Token()
		y, otherEnd := other.Token()
		if end != nil || otherEnd != nil {
			return end == io.EOF && otherEnd == io.EOF
		}
		if x != y {
			return false
		}
	}
}

// sameOrder gives the headers of an event the order that they have in the proof: others who write to a log choose another one.
func sameOrder(p *wire.AuditProof, r *wire.AuditRecord) {
	if p.Record == nil {
		return
	}
	place := func(h wire.AuditHeader) int {
		return slices.IndexFunc(p.Record.Headers, func(o wire.AuditHeader) bool { return strings.EqualFold(o.Name, h.Name) })
	}
	slices.SortStableFunc(r.Headers, func(a, b wire.AuditHeader) int { return place(a) - place(b) })
}
