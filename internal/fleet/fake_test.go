package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// shop is a catalog of a few functions; what one alias points at can be changed.
type shop struct {
	mu       sync.Mutex
	versions map[string][]*function.Version
	live     map[string]int
	changed  chan struct{}
	also     *function.Version // wanted beside the live ones
	prepared []Prepared
}

func newShop(vs ...*function.Version) *shop {
	s := &shop{versions: map[string][]*function.Version{}, live: map[string]int{}, changed: make(chan struct{})}
	for _, v := range vs {
		s.deploy(v)
	}
	return s
}

func (s *shop) deploy(v *function.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := v.Function()
	s.versions[name] = append(s.versions[name], v)
	s.live[name] = v.Number
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *shop) Version(fn, alias string, _ uint64) (*function.Version, error) {
	s.mu.Lock()
	n := s.live[fn]
	s.mu.Unlock()
	if alias != function.LiveAlias {
		return nil, fault.New(fault.NotFound, "no alias %s", alias)
	}
	return s.VersionNumber(fn, n)
}

func (s *shop) VersionNumber(fn string, n int) (*function.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.versions[fn] {
		if v.Number == n {
			return v, nil
		}
	}
	return nil, fault.New(fault.NotFound, "no function %s version %d", fn, n)
}

func (s *shop) Wanted() ([]*function.Version, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var vs []*function.Version
	for _, name := range slices.Sorted(maps.Keys(s.versions)) {
		for _, v := range s.versions[name] {
			if v.Number == s.live[name] {
				vs = append(vs, v)
			}
		}
	}
	if s.also != nil {
		vs = append(vs, s.also)
	}
	return vs, s.changed
}

func (s *shop) Prepared() []Prepared {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prepared
}

func version(name string, change ...func(*function.Spec)) *function.Version {
	v := &function.Version{Number: 1, Code: "sha256:00", Digest: "sha256:01", Spec: function.Spec{
		Name: name, Entry: function.Entry{Type: function.EntryLambda},
		Scale:   function.Scale{Max: 10, Idle: function.Duration(5 * time.Minute), Reuse: "idle"},
		Timeout: function.Duration(time.Minute),
	}}
	for _, f := range change {
		f(&v.Spec)
	}
	return v
}

func scale(lowest, highest int) func(*function.Spec) {
	return func(s *function.Spec) { s.Scale.Min, s.Scale.Max = lowest, highest }
}

func freezes(after time.Duration) func(*function.Spec) {
	return func(s *function.Spec) { s.Scale.Freeze = function.Duration(after) }
}

func never(s *function.Spec) { s.Scale.Reuse = "never" }

func concurrent(n int) func(*function.Spec) {
	return func(s *function.Spec) { s.Entry = function.Entry{Type: function.EntryHTTP, Concurrency: n} }
}

func stdio(s *function.Spec) { s.Entry.Type = function.EntryStdio }

// works is what a fake function does with an invocation.
type works func(c *fakeConn, inv *function.Invocation) (*function.Result, error)

// fakeStarter makes instances in this process, and notices when one gets more than it can take or there are too many.
type fakeStarter struct {
	delay time.Duration              // of a start
	chill time.Duration              // of freezing and of thawing
	stiff func(n int, on bool) error // what becomes of the n-th; nil = it is done
	fails func(n int) error
	probe func(c *fakeConn) error // nil = it is well
	quiet time.Duration           // after which one that goes on running shows that it starts; 0 = it says so
	ends  func(c *fakeConn) bool  // one dies by itself 300 ms after its start; nil = none does
	work  works

	mu      sync.Mutex
	starts  int
	frosts  int
	conns   []*fakeConn
	alive   map[poolKey]int
	most    map[poolKey]int
	total   int
	mostAll int
	wrong   []string
}

func (s *fakeStarter) Start(ctx context.Context, st entry.Start) (entry.Conn, error) {
	c := &fakeConn{starter: s, start: st, key: keyOf(st.Version), done: make(chan struct{}), stopped: make(chan struct{})}
	s.mu.Lock()
	s.starts++
	n := s.starts
	if s.alive == nil {
		s.alive, s.most = map[poolKey]int{}, map[poolKey]int{}
	}
	s.alive[c.key]++
	s.total++
	s.most[c.key] = max(s.most[c.key], s.alive[c.key])
	s.mostAll = max(s.mostAll, s.total)
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	if st.Version.Spec.Entry.Type != function.EntryStdio {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			c.die()
			return nil, ctx.Err()
		}
	}
	if s.fails != nil {
		if err := s.fails(n); err != nil {
			c.die()
			return nil, err
		}
	}
	if s.ends != nil && s.ends(c) {
		time.AfterFunc(300*time.Millisecond, c.die)
	}
	return c, nil
}

func (s *fakeStarter) living() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// mostOfAll is how many have lived at a time.
func (s *fakeStarter) mostOfAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mostAll
}

func (s *fakeStarter) started() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

type fakeConn struct {
	starter *fakeStarter
	start   entry.Start
	key     poolKey
	done    chan struct{}
	stopped chan struct{}

	mu     sync.Mutex
	busy   int
	took   int
	dead   bool
	grace  time.Duration
	frozen bool
	spoilt bool // after a time-out or a crash it may not get another
}

func (c *fakeConn) Invoke(_ context.Context, inv *function.Invocation) (*function.Result, error) {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return nil, entry.ErrUndelivered
	}
	c.busy++
	c.took++
	if c.frozen {
		c.starter.complain("instance %s has an invocation while it is frozen", c.start.ID)
	}
	limit := 1
	if c.start.Version.Spec.Entry.Type == function.EntryHTTP {
		limit = c.start.Version.Spec.Entry.Concurrency
	}
	// With room for more, another invocation may come in the moment in which one ends badly.
	if c.busy > limit || (c.spoilt && limit == 1) || (keepsOne(c.start.Version) && c.took > 1) {
		c.starter.complain("instance %s has %d invocations at a time, %d in all, spoilt %v", c.start.ID, c.busy, c.took, c.spoilt)
	}
	c.mu.Unlock()
	r, err := c.starter.work(c, inv)
	c.mu.Lock()
	c.busy--
	if err == nil && (r.Outcome == function.TimedOut || r.Outcome == function.Crashed) {
		c.spoilt = true
	}
	c.mu.Unlock()
	return r, err
}

// Freeze implements entry.Freezer.
func (c *fakeConn) Freeze(on bool) error {
	c.starter.mu.Lock()
	c.starter.frosts++
	n := c.starter.frosts
	c.starter.mu.Unlock()
	<-time.After(c.starter.chill)
	if c.starter.stiff != nil {
		if err := c.starter.stiff(n, on); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if on && c.busy > 0 {
		c.starter.complain("instance %s is frozen while it has %d invocations", c.start.ID, c.busy)
	}
	c.frozen = on
	return nil
}

// Probe implements entry.Prober.
func (c *fakeConn) Probe(context.Context, string) error {
	if c.starter.probe == nil {
		return nil
	}
	return c.starter.probe(c)
}

func (c *fakeConn) still() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen
}

func keepsOne(v *function.Version) bool {
	return v.Spec.Scale.Reuse == "never" || v.Spec.Entry.Once()
}

func (s *fakeStarter) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

func (c *fakeConn) die() {
	c.mu.Lock()
	first := !c.dead
	c.dead = true
	c.mu.Unlock()
	if !first {
		return
	}
	c.starter.mu.Lock()
	c.starter.alive[c.key]--
	c.starter.total--
	c.starter.mu.Unlock()
	close(c.done)
}

func (c *fakeConn) Done() <-chan struct{} { return c.done }

func (c *fakeConn) Stop(grace time.Duration) {
	c.mu.Lock()
	first := c.grace == 0
	c.grace = max(grace, 1)
	c.mu.Unlock()
	if first {
		close(c.stopped)
	}
	c.die()
}

// Settles implements entry.Silent.
func (c *fakeConn) Settles() time.Duration { return c.starter.quiet }

// Unused implements entry.Unused.
func (c *fakeConn) Unused() *entry.InitError {
	return &entry.InitError{Outcome: function.InitError, Failure: &function.Failure{Message: "its last words"}}
}

func (c *fakeConn) Usage() runner.Usage { return runner.Usage{MemoryPeak: 7 << 10} }

func done(body string) (*function.Result, error) {
	return &function.Result{Outcome: function.Succeeded, Status: 200, Body: []byte(body)}, nil
}

func ended(o function.Outcome) (*function.Result, error) {
	return &function.Result{Outcome: o, Failure: &function.Failure{Message: string(o)}}, nil
}

// takes answers with the instance's id after some time.
func takes(d time.Duration) works {
	return func(c *fakeConn, _ *function.Invocation) (*function.Result, error) {
		select {
		case <-time.After(d):
			return done(c.start.ID)
		case <-c.stopped:
			return nil, fault.New(fault.Unavailable, "stopped")
		}
	}
}

// start makes a fleet on a fake and runs it until the test ends; in a synctest bubble.
func start(t *testing.T, s *fakeStarter, f Functions, change ...func(*Options)) *Fleet {
	t.Helper()
	o := Options{Starter: s, Functions: f, Code: func(string) (string, error) { return "/code", nil }}
	for _, c := range change {
		c(&o)
	}
	fleet, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		if err := fleet.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ran
		if n := s.living(); n != 0 {
			t.Errorf("%d instances live after Run", n)
		}
		for _, w := range s.wrong {
			t.Error(w)
		}
	})
	return fleet
}

func call(name string) Call { return Call{Function: name, Invocation: &function.Invocation{}} }

// answer is what one call came to.
type answer struct {
	r   *function.Result
	err error
}

// begin calls in the background.
func begin(ctx context.Context, f *Fleet, c Call) <-chan answer {
	out := make(chan answer, 1)
	go func() {
		r, err := f.Invoke(ctx, c)
		out <- answer{r, err}
	}()
	return out
}
