// Package callback tells those who asked for it what came of their requests, by a POST that is signed. It does not decide whom to tell: dispatch
// puts that into the log with the end of a run. It does not know what a run's state looks like either; it asks for the text.
//
// A record of _dalamb.callbacks is a callback that is to be made, and a tombstone of the same key says that it was made, or given up. What a killed
// node was about to tell, the next owner of the partition tells: at least once, with the same id.
package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	// mostWaiting bounds the callbacks of one partition that are under way or wait for their next try; beyond it the log is not read on.
	mostWaiting = 4096
	// mostAtOnce bounds the requests of one partition at a time, mostOfOne those to one host: one that hangs holds up nobody else.
	mostAtOnce = 64
	mostOfOne  = 8
)

// Options of New. Log, State and Secret are required.
type Options struct {
	Log eventlog.Log
	// State is the text to tell about a run, by its address: JSON. NotFound when the log does not know it any more.
	State  func(ctx context.Context, run string) ([]byte, error)
	Secret func(name string) (text []byte, revision int64, err error)
	Allow  []netip.Prefix  // addresses that are not of the internet, and may be told nevertheless
	Waits  []time.Duration // between tries; nil = five, from a second to ten minutes

	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil = counted, not shown
	Now     func() time.Time
}

// Keeper makes callbacks. It is a dispatch.Duty.
type Keeper struct {
	o      Options
	allow  atomic.Pointer[[]netip.Prefix]
	client *http.Client
	made   *prometheus.CounterVec
}

// New checks the options.
func New(o Options) (*Keeper, error) {
	if o.Log == nil || o.State == nil || o.Secret == nil {
		return nil, errors.New("callback needs a log, states of runs and secrets")
	}
	if o.Waits == nil {
		o.Waits = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keeper{o: o, made: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_callbacks_total", Help: "Callbacks by what came of them: made, or given up.",
	}, []string{"outcome"})}
	k.client = newClient(func() []netip.Prefix { return *k.allow.Load() })
	k.Allow(o.Allow)
	if o.Metrics != nil {
		if err := o.Metrics.Register(k.made); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return k, nil
}

// Allow replaces the networks that are not of the internet, and may be told nevertheless. Connections that are idle are closed: some may lead to what
// is allowed no longer.
func (k *Keeper) Allow(networks []netip.Prefix) {
	k.allow.Store(&networks)
	k.client.CloseIdleConnections()
}

// Topic is whose partitions share the callbacks out.
func (k *Keeper) Topic() string { return function.TopicCallbacks }

// Keep makes the callbacks of one partition until ctx is done.
func (k *Keeper) Keep(ctx context.Context, own eventlog.Owned) error {
	left := map[string]*function.Callback{}
	var order []string
	from, err := eventlog.ReadAll(ctx, k.o.Log, own.Partition, func(r *eventlog.Record) error {
		c := k.decode(r)
		if left[string(r.Key)] = c; c != nil {
			order = append(order, string(r.Key))
		}
		return nil
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel(nil)
	p := &keeper{Keeper: k, own: own, room: make(chan struct{}, mostWaiting), slots: make(chan struct{}, mostAtOnce), hosts: map[string]*host{}, workers: &workers, fail: cancel}
	for _, key := range order {
		if c := left[key]; c != nil {
			delete(left, key)
			p.begin(ctx, key, c)
		}
	}
	err = p.follow(ctx, from)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// decode is nil for a tombstone, and for what a newer binary may have written.
func (k *Keeper) decode(r *eventlog.Record) *function.Callback {
	if r.Value == nil {
		return nil
	}
	c := new(function.Callback)
	if err := json.Unmarshal(r.Value, c); err != nil {
		k.o.Logger.Warn("skip a callback that cannot be read", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "err", err)
		return nil
	}
	return c
}

// keeper is one partition's part.
type keeper struct {
	*Keeper
	own     eventlog.Owned
	room    chan struct{} // holds a value for each callback that waits or is under way
	slots   chan struct{} // and for each request
	workers *sync.WaitGroup
	fail    context.CancelCauseFunc

	mu    sync.Mutex
	hosts map[string]*host
}

// host bounds what one host is asked at a time.
type host struct {
	slots chan struct{}
	users int
}

// follow begins what comes.
func (p *keeper) follow(ctx context.Context, from int64) error {
	for {
		rs, err := p.o.Log.Read(ctx, p.own.Partition, from, eventlog.ReadOptions{})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", p.own.Topic, p.own.ID, err)
		}
		for i := range rs {
			if c := p.decode(&rs[i]); c != nil {
				p.begin(ctx, string(rs[i].Key), c)
			}
		}
		from = rs[len(rs)-1].Offset + 1
	}
}

// begin makes a callback on a goroutine of its own, when there is room.
func (p *keeper) begin(ctx context.Context, key string, c *function.Callback) {
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return
	}
	p.workers.Go(func() {
		defer func() { <-p.room }()
		tries, outcome, done := p.make(ctx, key, c)
		if !done {
			return // the next owner does
		}
		gone := eventlog.Record{Topic: p.own.Topic, Partition: p.own.ID, Key: []byte(key)}
		p.commit(ctx, append(p.told(key, c, tries, outcome, false), gone))
	})
}

// make tries until somebody has taken it, or it is of no use, which outcome says. Not done = ctx was done before.
func (p *keeper) make(ctx context.Context, key string, c *function.Callback) (tries int, outcome error, done bool) {
	for try := 0; ; try++ {
		again, err := p.try(ctx, key, c)
		switch {
		case ctx.Err() != nil:
			return try, nil, false
		case err == nil:
			p.made.WithLabelValues("made").Inc()
			return try + 1, nil, true
		case !fault.Retryable(err) || try == len(p.o.Waits):
			p.made.WithLabelValues("given up").Inc()
			p.o.Logger.Warn("callback given up", "function", c.Function, "run", key, "tries", try+1, "err", err)
			return try + 1, err, true
		}
		if rs := p.told(key, c, try+1, err, true); try == 0 && rs != nil {
			p.commit(ctx, rs)
		}
		if !pause(ctx, max(p.o.Waits[try], again)) {
			return try + 1, nil, false
		}
	}
}

func (p *keeper) commit(ctx context.Context, rs []eventlog.Record) {
	if _, err := p.own.Commit(ctx, rs); err != nil && ctx.Err() == nil {
		p.fail(fmt.Errorf("commit: %w", err))
	}
}

// try makes one request, in its host's turn. again is how long the host asks to be left alone.
func (p *keeper) try(ctx context.Context, key string, c *function.Callback) (again time.Duration, err error) {
	body := []byte(c.Body)
	if body == nil {
		if body, err = p.o.State(ctx, key); err != nil {
			return 0, err
		}
	}
	secret, _, err := p.o.Secret(c.Secret)
	if err != nil {
		return 0, fault.New(fault.Unavailable, "the secret that signs the callback cannot be opened: %w", err)
	}
	leave, ok := p.enter(ctx, c.URL)
	if !ok {
		return 0, ctx.Err()
	}
	defer leave()
	return p.post(ctx, message{url: c.URL, run: key, body: body, secret: secret})
}

// enter waits for the turn of a request, and says what ends it.
func (p *keeper) enter(ctx context.Context, url string) (leave func(), ok bool) {
	name := hostOf(url)
	p.mu.Lock()
	h := p.hosts[name]
	if h == nil {
		h = &host{slots: make(chan struct{}, mostOfOne)}
		p.hosts[name] = h
	}
	h.users++
	p.mu.Unlock()
	out := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(p.hosts, name)
		}
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		out()
		return nil, false
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		<-h.slots
		out()
		return nil, false
	}
	return func() { <-p.slots; <-h.slots; out() }, true
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
