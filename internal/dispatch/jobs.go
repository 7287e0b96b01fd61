package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of one step of a redrive.
const (
	redriveBatch = 100
	redriveBytes = 4 << 20
)

// jobs carries out what a partition of _dalamb.jobs asks for, one job after another. How far it is commits together with what it
// does, so that an interrupted job goes on where it was.
type jobs struct {
	d      *Dispatcher
	id     eventlog.Partition
	cancel context.CancelFunc
	done   chan struct{}
}

// jobRecord is how far a partition of _dalamb.jobs is worked off.
type jobRecord struct {
	Position int64     `json:"position"`       // of the job under way, or the next one
	Died     time.Time `json:"died,omitzero"`  // the last dead letter that the job under way has sent
	Last     string    `json:"last,omitempty"` // its id
	Count    int       `json:"count,omitempty"`
}

func (r jobRecord) encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode job: %w", err)
	}
	return append([]byte{progressFormat}, b...), nil
}

func decodeJob(value []byte) (r jobRecord, err error) {
	d := newProgressReader(value)
	if d.err != nil {
		return r, d.err
	}
	if err := json.Unmarshal(d.rest(), &r); err != nil {
		return r, fmt.Errorf("decode job: %w", err)
	}
	if r.Position < 0 || r.Count < 0 {
		return r, errors.New("a job's numbers are out of range")
	}
	return r, nil
}

func newJobs(d *Dispatcher, id eventlog.Partition) *jobs {
	return &jobs{d: d, id: id, done: make(chan struct{})}
}

func (j *jobs) start(ctx context.Context) {
	ctx, j.cancel = context.WithCancel(ctx)
	go j.run(ctx)
}

// stop interrupts the job under way, which its next owner goes on with.
func (j *jobs) stop() {
	j.cancel()
	<-j.done
}

func (j *jobs) run(ctx context.Context) {
	defer close(j.done)
	for n := 0; ; n++ {
		err := j.work(ctx)
		if ctx.Err() != nil || errors.Is(err, eventlog.ErrFenced) || fault.KindOf(err) == fault.NotFound {
			return
		}
		j.d.logger.Error("work off jobs", "topic", j.id.Topic, "partition", j.id.ID, "err", err)
		if !pause(ctx, n) {
			return
		}
	}
}

// work reads how far the partition is and goes on from there. It returns with an error, and can then be called again.
func (j *jobs) work(ctx context.Context) error {
	topic, err := j.d.topics.refresh(ctx, j.id.Topic)
	if err != nil {
		return err
	}
	keys := keysOf(topic.ID, j.id.ID)
	at, err := j.recall(ctx, keys)
	if err != nil {
		return err
	}
	for {
		rs, err := j.d.log.Read(ctx, j.id, at.Position, eventlog.ReadOptions{})
		if err != nil {
			return fmt.Errorf("read jobs: %w", err)
		}
		for _, r := range rs {
			if r.Offset != at.Position {
				at = jobRecord{Position: r.Offset}
			}
			if e, err := eventlog.ToEvent(r); err == nil && e.Type == event.TypeRedriveRequested {
				if err := j.redrive(ctx, keys, at, e, r.Time); err != nil {
					return fmt.Errorf("redrive %s: %w", e.ID, err)
				}
			}
			at = jobRecord{Position: r.Offset + 1}
		}
	}
}

func (j *jobs) recall(ctx context.Context, keys progressKeys) (at jobRecord, err error) {
	newest, _, err := j.d.progress.read(ctx, keys)
	if err != nil {
		return at, err
	}
	value, ok := newest[keys.jobs()]
	if !ok {
		return at, nil
	}
	return decodeJob(value)
}

// redrive sends the dead letters that a request means, in the order in which they died, from where at says.
func (j *jobs) redrive(ctx context.Context, keys progressKeys, at jobRecord, e *event.Event, asked time.Time) error {
	var req RedriveRequest
	err := json.Unmarshal(e.Data, &req)
	if err != nil {
		return j.finish(ctx, keys, at, e.ID) // nobody can carry it out
	}
	meant, err := req.picker()
	if err != nil {
		return j.finish(ctx, keys, at, e.ID)
	}
	letters, err := j.d.deadLetters(ctx, meant)
	if err != nil {
		return err
	}
	var due time.Time
	for len(letters) > 0 {
		var records []eventlog.Record
		size, most := int64(0), redriveBatch
		if req.Rate > 0 {
			most = max(1, min(most, int(req.Rate/10)))
		}
		for len(letters) > 0 && len(records) < most && size < redriveBytes {
			l := letters[0]
			letters = letters[1:]
			if l.died.After(asked) || at.Last != "" && l.compare(at.Died, at.Last) <= 0 {
				continue
			}
			r, err := j.send(ctx, e.ID, req.Version, l)
			if err != nil {
				return err
			}
			if r != nil {
				records = append(records, *r)
				size += recordSize(r)
				at.Count++
			}
			at.Died, at.Last = l.died, l.id
		}
		if len(records) == 0 {
			continue
		}
		if err := j.wait(ctx, &due, len(records), req.Rate); err != nil {
			return err
		}
		if err := j.commit(ctx, keys, at, records); err != nil {
			return err
		}
	}
	return j.finish(ctx, keys, at, e.ID)
}

// send makes the record that asks for a dead letter to run again; nil when it is resolved already.
func (j *jobs) send(ctx context.Context, job string, version int, l letter) (*eventlog.Record, error) {
	dl, seal, err := j.d.readDead(ctx, l)
	if dl == nil || err != nil {
		return nil, err
	}
	e, err := again(job, l.id, version, dl, j.d.now())
	if err != nil {
		j.d.logger.Error("redrive", "run", l.id, "err", err)
		return nil, nil
	}
	r := byKey(function.TopicInvoke, e)
	r.Seal = seal
	return &r, nil
}

// wait keeps to the rate: n may go when due has come.
func (j *jobs) wait(ctx context.Context, due *time.Time, n int, rate float64) error {
	if rate <= 0 {
		return nil
	}
	now := time.Now()
	if due.IsZero() {
		*due = now
	}
	t := time.NewTimer(due.Sub(now))
	defer t.Stop()
	*due = due.Add(time.Duration(float64(n) / rate * float64(time.Second)))
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", ctx.Err())
	}
}

func (j *jobs) finish(ctx context.Context, keys progressKeys, at jobRecord, job string) error {
	e, err := statement(event.TypeRedriveFinished, derivedID(job, "finished", 0), job, RedriveFinished{Job: job, Count: at.Count}, j.d.now())
	if err != nil {
		return err
	}
	return j.commit(ctx, keys, jobRecord{Position: at.Position + 1}, one(byKey(function.TopicJobs, e)))
}

func (j *jobs) commit(ctx context.Context, keys progressKeys, at jobRecord, records []eventlog.Record) error {
	value, err := at.encode()
	if err != nil {
		return err
	}
	records = append(records, keys.record(keys.jobs(), value))
	_, err = j.d.member().Commit(ctx, eventlog.Txn{Records: records, Claims: []eventlog.Partition{j.id}})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
