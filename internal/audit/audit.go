// Package audit makes the log tamper-evident: it hashes every record into a Merkle tree of its partition, signs what the trees have become from time to
// time, proves of a record that it is in what was signed, and finds what of a log is not as it was. It does not keep anybody from changing a log, and
// sees nothing of what was changed before it read.
//
// A Keeper reads behind the log's writers, on both engines alike. Leaves could be stored with the records, in the batch of each append; that would see a change
// in the second between an append and the reading of it. But until a checkpoint has left the machine, who can change records there can change what stands
// beside them, and checkpoints are a minute apart, so it would buy nothing against a person; against a broken disk Pebble's own sums hold. It would cost the
// one goroutine that all writers wait for, and Kafka has no such batch.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Log is what is read, and where checkpoints are put.
type Log interface {
	Topics(ctx context.Context) ([]eventlog.Topic, error)
	Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error)
	Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error)
	CreateTopic(ctx context.Context, t eventlog.Topic) error
	Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error)
}

// Options of New. Log, Dir and Outside are required.
type Options struct {
	Log     Log
	Dir     string        // of the key, the leaves and the state; made when it is not there
	Outside Place         // where checkpoints are brought
	Every   time.Duration // between two checkpoints; 0 = 1 minute
	Look    time.Duration // between two looks at the log; 0 = 1 second
	Except  []string      // topics that are not hashed, besides _dalamb.nodes
	Now     func() time.Time
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil = nowhere
}

// mostTrees is how many trees one checkpoint names; more come in the next one, at once. A note has at most a million bytes.
const mostTrees = 2000

// stopWait is how long a node that stops may take for its last checkpoint.
const stopWait = 10 * time.Second

// Keeper keeps the trees of one log. Safe for concurrent use.
type Keeper struct {
	Options
	metrics  *metrics
	most     int           // trees that one checkpoint names
	patience time.Duration // with the place outside, at the end; of Run alone

	mu      sync.Mutex // held while the trees grow: a proof waits for that
	ready   bool
	trouble error // why it stands still; nil = it does not
	key     note.Signer
	check   note.Verifier
	public  string
	state   state
	trees   map[treeID]*tree
	behind  map[treeID]error // trees that could not grow when the log was looked at last, and why
	bringer *bringer
	hasher  hasher
	turn    time.Time // before it, nobody who asks for a proof has a checkpoint signed
}

// New checks the options and starts nothing.
func New(o Options) (*Keeper, error) {
	if o.Log == nil || o.Dir == "" || o.Outside == nil {
		return nil, errors.New("audit needs a log, a directory and a place outside")
	}
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Look == 0 {
		o.Look = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	return &Keeper{Options: o, metrics: m, most: mostTrees, patience: bringWait, trees: map[treeID]*tree{}, bringer: newBringer()}, nil
}

// Run keeps the trees until ctx is done, and signs a last checkpoint then. What contradicts what was signed stops the audit and not the node: it is
// logged, State tells of it, and nothing is signed any more. A place outside that does not answer is waited for a while at the end, and then left: no call of
// the system that hangs can be ended.
func (k *Keeper) Run(ctx context.Context) error {
	bringing, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	last, brought := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(brought)
		k.bringAll(bringing, last)
	}()
	defer k.end(last, brought)
	look := time.NewTicker(k.Look)
	defer look.Stop()
	next, looked := k.Now(), k.bringer.looked
	for hurry := false; ; {
		if hurry {
			k.hurry(ctx)
		} else {
			now := k.Now()
			due := !now.Before(next) || k.first()
			if due {
				next = now.Add(k.Every)
			}
			if err := k.round(ctx, due); err != nil && ctx.Err() == nil {
				k.Logger.Warn("the audit is behind the log", "err", err)
			}
		}
		hurry = false
		select {
		case <-look.C:
		case <-k.soon():
			hurry = true
		case <-looked:
			next, looked = k.Now(), nil
		case <-ctx.Done():
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
			defer cancel()
			k.lookAtLast(late)
			if err := k.round(late, true); err != nil {
				k.Logger.Warn("what was logged last is in no checkpoint", "err", err)
			}
			return nil
		}
	}
}

// first says that nothing was signed yet: what is in the log when the audit begins does not wait.
func (k *Keeper) first() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state.seq == 0
}

// round lets the trees grow, and signs where that is due and may be. Its error may pass.
func (k *Keeper) round(ctx context.Context, due bool) error {
	if due {
		defer k.bringer.poke()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble != nil {
		return nil
	}
	err := k.start(ctx)
	if err == nil {
		err = k.grow(ctx)
	}
	// A log that is older than what is outside, as one that was restored, must not sign another history with the same numbers.
	if err == nil && due && k.bringer.isKnown() {
		err = k.signAll(ctx)
	}
	if err == nil || ctx.Err() != nil || eventlog.Passing(err) {
		return err
	}
	var stand *standError
	if errors.As(err, &stand) {
		k.standStill(stand)
		return nil
	}
	return err
}

// stand is standStill for who does not hold the lock.
func (k *Keeper) stand(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble == nil {
		k.standStill(err)
	}
}

func (k *Keeper) standStill(err error) {
	k.trouble = err
	k.metrics.still.Set(1)
	k.Logger.Error("the audit stands still: the log and what was signed contradict each other; see docs/audit.md", "err", err)
}

// standError is a contradiction, which no waiting mends.
type standError struct{ err error }

func (e *standError) Error() string { return e.err.Error() }
func (e *standError) Unwrap() error { return e.err }

// start reads what was signed before, once.
func (k *Keeper) start(ctx context.Context) error {
	if k.ready {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(k.Dir, treesDir), 0o700); err != nil {
		return fmt.Errorf("make the directory of the audit: %w", err)
	}
	var err error
	if k.key, k.public, err = loadKey(k.Dir); err != nil {
		return &standError{err}
	}
	if k.check, err = ParseKey(k.public); err != nil {
		return &standError{err}
	}
	topic := eventlog.Topic{Name: function.TopicCheckpoints, Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever}
	if err := k.Log.CreateTopic(ctx, topic); err != nil && fault.KindOf(err) != fault.Conflict {
		return fmt.Errorf("create topic %s: %w", topic.Name, err)
	}
	if err := k.recall(ctx); err != nil {
		return err
	}
	if err := k.again(ctx); err != nil {
		return err
	}
	for _, h := range k.state.sorted() {
		t, err := openTree(k.Dir, h.id, h.topic, h)
		if err != nil {
			return &standError{err}
		}
		k.trees[h.id] = t
	}
	k.ready = true
	return nil
}

// recall reads the state, and the checkpoints that were signed after it was kept.
func (k *Keeper) recall(ctx context.Context) error {
	k.state = state{trees: map[treeID]*head{}}
	path := filepath.Join(k.Dir, stateFile)
	sealed, err := os.ReadFile(path)
	switch {
	case err == nil:
		s, err := openState(sealed, k.check)
		if err != nil {
			return &standError{fmt.Errorf("%s %w", path, err)}
		}
		k.state = *s
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("read the state of the audit: %w", err)
	}
	p := eventlog.Partition{Topic: function.TopicCheckpoints}
	b, err := k.Log.Bounds(ctx, p)
	if err != nil {
		return fmt.Errorf("read the bounds of %s: %w", p.Topic, err)
	}
	if b.End < k.state.next {
		return &standError{&cutError{p, b.End, k.state.next}}
	}
	return readCheckpoints(ctx, k.Log, k.state.next, k.check, func(c *Signed, at int64, err error) error {
		if err == nil && c.seq <= k.state.seq {
			if same, err := k.copied(ctx, c, at); same || err != nil {
				k.state.next = at + 1
				return err
			}
		}
		if err == nil {
			err = k.state.take(c, at)
		}
		if err != nil {
			return &standError{fmt.Errorf("%s at offset %d: %w", p.Topic, at, err)}
		}
		return nil
	})
}

// readCheckpoints gives the checkpoints of a key in the log from an offset on; err says what is wrong with one that has the name of the key.
func readCheckpoints(ctx context.Context, log Reader, from int64, key note.Verifier, each func(c *Signed, at int64, err error) error) error {
	p := eventlog.Partition{Topic: function.TopicCheckpoints}
	for {
		rs, err := log.Read(ctx, p, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return fmt.Errorf("read %s: %w", p.Topic, err)
		}
		if len(rs) == 0 {
			return nil
		}
		for i := range rs {
			if string(rs[i].Key) == key.Name() {
				var c *Signed
				e, err := eventlog.ToEvent(rs[i])
				if err == nil {
					c, err = openCheckpoint(e.Data, key)
				}
				if err := each(c, rs[i].Offset, err); err != nil {
					return err
				}
			}
			from = rs[i].Offset + 1
		}
	}
}

// grow reads what is new in the log, about a step of each tree. A tree that cannot grow is told of and tried again: the others go on.
func (k *Keeper) grow(ctx context.Context) error {
	topics, err := k.Log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	behind := map[treeID]error{}
	for _, t := range topics {
		if k.leavesOut(t.Name) {
			continue
		}
		for p := range t.Partitions {
			id := treeID{t.ID, p}
			err := k.growOne(ctx, id, t.Name)
			var stand *standError
			switch {
			case err == nil || fault.KindOf(err) == fault.NotFound: // the topic was deleted meanwhile
			case errors.As(err, &stand) || ctx.Err() != nil:
				return err
			default:
				if k.behind[id] == nil {
					k.Logger.Warn("the audit is behind the log", "topic", t.Name, "partition", p, "err", err)
				}
				behind[id] = err
			}
		}
	}
	k.behind = behind
	k.metrics.behind.Set(float64(len(behind)))
	return nil
}

// leavesOut says that a topic is not hashed. What nodes say of themselves every few seconds is none of what happened, and is gone within the hour: it would make
// each checkpoint of a cluster in which nothing happens one that has news.
func (k *Keeper) leavesOut(topic string) bool {
	return topic == function.TopicNodes || slices.Contains(k.Except, topic)
}

func (k *Keeper) growOne(ctx context.Context, id treeID, topic string) error {
	one := k.trees[id]
	if one == nil {
		b, err := k.Log.Bounds(ctx, eventlog.Partition{Topic: topic, ID: id.partition})
		if err != nil {
			return fmt.Errorf("read the bounds of %s/%d: %w", topic, id.partition, err)
		}
		if b.End == 0 {
			return nil // no files for what is empty
		}
		if one, err = openTree(k.Dir, id, topic, k.state.trees[id]); err != nil {
			return fmt.Errorf("open the tree of %s/%d: %w", topic, id.partition, err)
		}
		k.trees[id] = one
	}
	n, err := one.follow(ctx, k.Log, &k.hasher)
	k.metrics.records.Add(float64(n))
	var cut *cutError
	if errors.As(err, &cut) {
		return &standError{err}
	}
	one.fast = n >= fast
	if one.torn {
		delete(k.trees, id)
	}
	return err
}
