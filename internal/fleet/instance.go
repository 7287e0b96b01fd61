package fleet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
)

// State is where an instance stands.
type State string

const (
	Starting State = "starting"
	Idle     State = "idle"
	Busy     State = "busy"
	Frozen   State = "frozen" // idle, and held still
	Stopping State = "stopping"
)

// stopGrace is how long an instance has between SIGTERM and SIGKILL.
const stopGrace = 500 * time.Millisecond

// instance is one live sandbox. Its fields are guarded by Fleet.mu, but conn, which is set once before anybody gets it.
type instance struct {
	id      string
	pool    *pool
	ahead   bool // started for nobody in particular
	created time.Time
	cancel  context.CancelFunc // of the start
	retired chan struct{}      // closed when it shall end

	conn      entry.Conn
	started   time.Time // zero while it starts
	settled   time.Time // when it has run for long enough to show that its version starts; zero = it said so
	values    int64     // offset of those that it was started with
	busy      int       // invocations in flight
	runs      int64
	delivered bool // it took at least one invocation
	listed    bool // in pool.avail
	leaving   bool // takes no more; ends when busy is 0
	ending    bool // retired is closed, or it died
	untouched bool // it ended by itself, and had taken no invocation
	pledged   bool // it leaves so that another function has its place
	yielded   bool // it leaves for the sake of its environment's quota
	grace     time.Duration
	idleSince time.Time
	probing   bool // its health is being asked for
	frost     frost

	underway underway
}

func (i *instance) state(now time.Time) State {
	switch {
	case i.ending || i.leaving:
		return Stopping
	case i.started.IsZero(), i.busy == 0 && !i.proven(now):
		return Starting
	case i.busy > 0:
		return Busy
	case i.frost.temper != warm:
		return Frozen
	}
	return Idle
}

// newID names an instance for people and for its runner: function, version and a random part. A runner takes it for the name of a host, which
// has no dots.
func newID(p *pool) string {
	var b [5]byte
	rand.Read(b[:]) // never fails: it ends the process instead
	name := strings.ReplaceAll(p.version.Function(), ".", "-")
	return name[:min(len(name), 40)] + "-" + strconv.Itoa(p.version.Number) + "-" + hex.EncodeToString(b[:])
}

// launch adds an instance to its pool and starts its goroutine. The caller holds mu and has seen that there is room.
func (f *Fleet) launch(p *pool, ahead bool) {
	ctx, cancel := context.WithCancel(context.Background()) // ended by retire
	i := &instance{
		id: newID(p), pool: p, ahead: ahead, created: f.o.Now(),
		cancel: cancel, retired: make(chan struct{}), frost: frost{chill: make(chan struct{}, 1)},
	}
	p.instances = append(p.instances, i)
	p.starting++
	p.share.held++
	p.share.tenant.begun(i)
	f.starts.begin(i)
	f.total++
	f.lives.Go(func() {
		defer cancel()
		f.live(ctx, i)
	})
}

// live is the life of an instance.
func (f *Fleet) live(ctx context.Context, i *instance) {
	conn, err := f.start(ctx, i)
	if err == nil {
		err = f.settle(ctx, i, conn)
	}
	if err != nil {
		f.startFailed(i, err)
		return
	}
	f.startedUp(i, conn)
	var watched sync.WaitGroup
	watched.Go(func() { f.watch(ctx, i, conn) })
	for alive := true; alive; {
		select {
		case <-i.frost.chill:
			f.freeze(i, conn)
			continue
		case <-conn.Done():
		case <-i.retired:
			f.mu.Lock()
			grace := i.grace
			f.mu.Unlock()
			conn.Stop(grace)
		}
		alive = false
	}
	f.leaveWarm(i)
	i.cancel()
	watched.Wait()
	f.gone(i)
}

func (f *Fleet) start(ctx context.Context, i *instance) (entry.Conn, error) {
	v := i.pool.version
	start, err := f.files(v)
	if err != nil {
		return nil, err
	}
	values, offset, err := f.o.Values.Values(v)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	i.values = offset
	f.mu.Unlock()
	start.ID, start.Version, start.Ahead, start.Values = i.id, v, i.ahead, values
	if f.o.Calls != nil {
		start.Calls = f.serveCalls(i)
	}
	return f.o.Starter.Start(ctx, start)
}

// files are the directories that a version is made of.
func (f *Fleet) files(v *function.Version) (s entry.Start, err error) {
	if v.Code != "" || v.Image == nil {
		if s.CodeDir, err = f.o.Code(v.Code); err != nil {
			return s, fmt.Errorf("find code of %s version %d: %w", v.Function(), v.Number, err)
		}
	}
	if v.Image != nil {
		if s.Root, err = f.o.Image(v.Image); err != nil {
			return s, fmt.Errorf("find image of %s version %d: %w", v.Function(), v.Number, err)
		}
	}
	return s, nil
}

func (f *Fleet) startedUp(i *instance, conn entry.Conn) {
	cpu := conn.Usage().CPU
	f.mu.Lock()
	defer f.mu.Unlock()
	p := i.pool
	f.startOver(i)
	p.startCPU = cpu
	i.conn, i.started = conn, f.o.Now()
	if after := settles(conn); after > 0 {
		i.settled = i.started.Add(after)
	}
	f.metrics.coldStart(p.version, i.started.Sub(i.created))
	if !i.ending {
		f.serve(i, true)
		f.succeed(i)
		f.ensure(p)
	}
	if f.starved {
		f.feed()
	}
}

// startOver takes an instance off those that start. The caller holds mu.
func (f *Fleet) startOver(i *instance) {
	i.pool.starting--
	f.starts.end(i)
}

func (f *Fleet) startFailed(i *instance, err error) {
	var bad *backOff
	defer func() { f.warn(bad) }()
	f.mu.Lock()
	defer f.mu.Unlock()
	p := i.pool
	f.startOver(i)
	unasked := !i.ending
	f.remove(i)
	switch {
	case !unasked || f.closed:
	case i.values > 0 && i.stale(): // what it could not start with has changed again
		f.ensure(p)
	default:
		failure := startFailure(p, err)
		bad = f.failed(p, failure)
		// It answers those that it would have served, but where stale ones do that. Where nothing is left that could serve the others, they
		// are answered too.
		if p.outdated() == 0 {
			for range p.concurrency {
				if w := p.pop(); w != nil {
					w.give(failure.grant(0))
				}
			}
		}
		if len(p.instances) == p.stopping {
			f.flush(p, failure.grant(0))
		}
	}
	f.makeRoom(p)
}

// startFailure is what the calls of a version get that cannot start.
func startFailure(p *pool, err error) *failure {
	var init *entry.InitError
	if errors.As(err, &init) {
		return &failure{init: init}
	}
	return &failure{err: &StartError{fmt.Errorf("start %s version %d: %w", p.version.Function(), p.version.Number, err)}}
}

// StartError is why the node could not give a call an instance. Its words are about the node's own things, and so for the one who runs it.
type StartError struct{ Err error }

func (e *StartError) Error() string { return e.Err.Error() }

func (e *StartError) Unwrap() error { return e.Err }

// retire ends an instance: at once when nothing runs on it. The caller holds mu.
func (f *Fleet) retire(i *instance, grace time.Duration) {
	i.pool.unlist(i)
	if i.ending {
		return
	}
	i.ending, i.grace = true, max(i.grace, grace)
	f.redeem(i)
	i.pool.stopping++
	f.stopping++
	i.cancel()
	close(i.retired)
}

// gone forgets an instance that has ended.
func (f *Fleet) gone(i *instance) {
	var bad *backOff
	defer func() { f.warn(bad) }()
	cpu := i.conn.Usage().CPU
	f.mu.Lock()
	defer f.mu.Unlock()
	p := i.pool
	f.spent[p.key.name] += cpu
	i.untouched = !i.ending && !i.delivered
	f.remove(i)
	bad = f.lost(i)
	f.makeRoom(p)
}

// lost notes that an instance is gone which ended without having done anything, though it could have: the next one would do the same. Who has it
// still is told by its connection. The caller holds mu, and warns when it does no more.
func (f *Fleet) lost(i *instance) (bad *backOff) {
	if !i.untouched || i.busy > 0 || f.closed || i.values > 0 && i.stale() { // what it ended with has changed
		return nil
	}
	p, early := i.pool, unused(i, i.conn)
	bad = f.failed(p, early)
	if len(p.instances) == p.stopping {
		f.flush(p, early.grant(0))
	}
	return bad
}

// remove takes an instance off the books. The caller holds mu.
func (f *Fleet) remove(i *instance) {
	p := i.pool
	p.unlist(i)
	p.drop(i)
	f.redeem(i)
	p.share.held--
	p.share.tenant.ended(i)
	f.total--
	if i.ending {
		p.stopping--
		f.stopping--
	}
	i.ending = true
}

// makeRoom lets others have what an instance of p left. The caller holds mu.
func (f *Fleet) makeRoom(p *pool) {
	if f.starved {
		f.feed()
	}
	f.feedTenant(p.share.tenant)
	f.ensure(p)
	if !p.wanted && len(p.instances) == 0 && len(p.queue) == 0 {
		f.forget(p)
	}
}

// redeem: an instance that was pledged stops, or is gone. The caller holds mu.
func (f *Fleet) redeem(i *instance) {
	if i.pledged {
		i.pledged = false
		f.pledged--
	}
}
