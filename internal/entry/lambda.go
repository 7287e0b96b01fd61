package entry

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// listenPort is where the Runtime API is on the function's own loopback; AWS uses this number too.
const listenPort = 9001

// lambdaConn is one instance that speaks the Runtime API. Its state is that of AWS's own: a runtime asks for the next
// invocation, answers it or reports an error, and asks again.
type lambdaConn struct {
	*instance
	api     *runtimeAPI
	stopped chan struct{}
	done    chan struct{}

	mu       sync.Mutex
	phase    phase
	current  *lambdaCall // in flight, or the last one
	waiting  *lambdaCall // that nobody has asked for yet
	poller   *apiConn    // that waits for an invocation
	ready    chan struct{}
	opened   bool // ready is closed
	initErr  *function.Failure
	fatal    *function.Failure // why the instance ends, where it is not the runtime's own doing
	ext      extensions
	stopOnce sync.Once

	lastOutcome function.Outcome
	outs        []*output // of external extensions
	tele        *telemetry
	sending     sync.WaitGroup // its deliveries
}

type phase uint8

const (
	phaseInit      phase = iota // the runtime starts
	phaseReady                  // it asked for an invocation, or answered the last one
	phaseRunning                // it has an invocation
	phaseAnswering              // it is sending the answer
)

func (p phase) String() string {
	return [...]string{"Started", "Ready", "Running", "InvocationResponse"}[p]
}

// lambdaCall is one invocation on its way.
type lambdaCall struct {
	id      string
	message []byte // the answer to "next" without the fields that hang on the time
	body    []byte
	limit   time.Duration
	until   time.Time // Invocation.Deadline
	inv     *function.Invocation

	start    time.Time
	deadline time.Time
	taken    chan struct{}         // closed when the runtime has it
	answer   chan *function.Result // of capacity 1
	stream   chan *lambdaStream    // who sends it knows that it was taken
	over     chan struct{}         // closed when Invoke has returned

	outcome   function.Outcome // what came of it
	errorType string
}

func (e *Entries) startLambda(ctx context.Context, s Start) (Conn, error) {
	spec := e.spec(s)
	spec.Listen = listenPort
	spec.Env = list(environ(s, e.Region))
	c := newLambda(e, s)
	if refused := c.companions(&spec); refused != nil {
		return nil, refused
	}
	began := e.Now()
	c.tele.platform("initStart", initStartRecord{
		Initialization: initialization(s), Phase: "init", Function: s.Version.Function(),
		Version: strconv.Itoa(s.Version.Number), Instance: s.ID, MemoryBytes: int64(s.Version.Spec.Resources.Memory),
	})
	if err := c.launch(ctx, nil, spec); err != nil {
		return nil, err
	}
	go c.serve()
	if err := c.awaitReady(ctx, c.ready); err != nil {
		<-c.done
		return nil, err
	}
	c.mu.Lock()
	failure := c.initErr
	c.mu.Unlock()
	if failure != nil {
		c.box.Stop(0)
		<-c.done
		return nil, &InitError{Outcome: function.InitError, Failure: failure}
	}
	c.tele.platform("initRuntimeDone", initDoneRecord{Initialization: initialization(s), Phase: "init", Status: "success"})
	c.tele.platform("initReport", initReportRecord{Initialization: initialization(s), Phase: "init", Status: "success",
		Metrics: durationMs{milliseconds(e.Now().Sub(began))}})
	c.tele.close()
	return c, nil
}

// newLambda makes an instance without a sandbox yet.
func newLambda(e *Entries, s Start) *lambdaConn {
	c := &lambdaConn{
		instance: e.instance(s), ready: make(chan struct{}),
		stopped: make(chan struct{}), done: make(chan struct{}), tele: &telemetry{now: e.Now},
	}
	c.missing = c.waits
	c.out.emit = c.tee(kindFunction)
	c.api = newRuntimeAPI(c)
	return c
}

// serve lives as long as the instance.
func (c *lambdaConn) serve() {
	var parts sync.WaitGroup
	parts.Go(func() { c.api.serve(c.box.Listener()) })
	parts.Go(c.followExtensions)
	<-c.box.Done()
	c.api.close()
	parts.Wait()
	c.tele.end()
	c.sending.Wait()
	c.out.finish()
	for _, o := range c.outs {
		o.finish()
	}
	close(c.done)
}

func (c *lambdaConn) Done() <-chan struct{} { return c.done }

func (c *lambdaConn) Stop(grace time.Duration) {
	c.stopOnce.Do(func() {
		close(c.stopped)
		if grace > 0 {
			c.farewell()
		}
	})
	c.box.Stop(grace)
	<-c.done
}

// Invoke implements Conn.
func (c *lambdaConn) Invoke(_ context.Context, inv *function.Invocation) (*function.Result, error) {
	call, err := c.call(inv)
	if err != nil {
		return nil, err
	}
	defer close(call.over)
	c.deliver(call)
	timer := time.NewTimer(call.limit)
	defer timer.Stop()
	taken := call.taken
	for {
		select {
		case r := <-call.answer:
			return c.finish(call, r), nil
		case s := <-call.stream:
			r, err := c.pass(call, s)
			if err != nil {
				return nil, err
			}
			return c.finish(call, r), nil
		case <-taken:
			taken = nil
			timer.Reset(call.deadline.Sub(c.entries.Now()))
		case <-timer.C:
			if c.withdraw(call) {
				return nil, c.undelivered(inv)
			}
			return c.finish(call, timedOut(call.limit)), nil
		case <-c.done:
			if c.withdraw(call) {
				return nil, c.undelivered(inv)
			}
			select {
			case r := <-call.answer: // it answered with its last breath
				return c.finish(call, r), nil
			default:
			}
			select {
			case <-c.stopped:
				return nil, errStopped(c.start.ID)
			default:
				return c.finish(call, c.crashed()), nil
			}
		}
	}
}

func (c *lambdaConn) undelivered(inv *function.Invocation) error {
	for _, o := range c.outs {
		o.leave()
	}
	return c.instance.undelivered(inv)
}

func (c *lambdaConn) finish(call *lambdaCall, r *function.Result) *function.Result {
	if call.inv.Request != nil && r.Outcome == function.Failed {
		r.Body, r.Header = nil, nil // AWS: a failed function answers 502 and keeps its error to itself
	}
	r.MemoryKB = c.memoryKB()
	clock{c.entries.Now, call.start}.finish(r)
	c.mu.Lock()
	toldOfTheEnd := slices.ContainsFunc(c.ext.all, func(e *extension) bool { return e.shutdown })
	c.mu.Unlock()
	if r.Outcome != function.TimedOut || !toldOfTheEnd { // else they come first: Stop tells them
		c.hearOut(call.inv, r)
	}
	c.mu.Lock()
	c.lastOutcome, call.outcome, call.errorType = r.Outcome, r.Outcome, errorType(r)
	rests := c.ext.rest != nil
	if rests {
		c.ext.unreported = call
	}
	c.mu.Unlock()
	if !c.tele.quiet() {
		c.tele.platform("runtimeDone", c.runtimeDone(call, r))
		if !rests {
			c.tele.platform("report", c.report(call))
		}
	}
	return r
}

// crashed is the result of an invocation during which the sandbox ended.
func (c *lambdaConn) crashed() *function.Result {
	c.mu.Lock()
	f := c.fatal
	c.mu.Unlock()
	if f == nil {
		return c.ended()
	}
	return &function.Result{Outcome: function.Crashed, Failure: f, Status: statusBadGateway}
}

func (c *lambdaConn) call(inv *function.Invocation) (*lambdaCall, error) {
	body, err := c.payload(inv)
	if err != nil {
		return nil, err
	}
	return &lambdaCall{
		id: inv.ID, inv: inv, body: body, limit: c.timeout(), until: inv.Deadline,
		message: c.fields(inv, len(body)),
		taken:   make(chan struct{}), answer: make(chan *function.Result, 1),
		stream: make(chan *lambdaStream), over: make(chan struct{}),
	}, nil
}

func (c *lambdaConn) payload(inv *function.Invocation) ([]byte, error) {
	if inv.Request != nil {
		return urlRequest(inv, c.start.Version.Function(), c.entries.Now())
	}
	return document(inv)
}

// deliver hands a call to the runtime when it is waiting for one, else leaves it for the next time that it asks.
func (c *lambdaConn) deliver(call *lambdaCall) {
	c.mu.Lock()
	p := c.poller
	if p == nil {
		c.waiting = call
		c.mu.Unlock()
		return
	}
	c.poller = nil
	told := c.take(call)
	c.mu.Unlock()
	c.send(p, call, told)
}

// take starts the function's time and returns what extensions are told of it. The caller holds mu.
func (c *lambdaConn) take(call *lambdaCall) (told []message) {
	c.phase, c.current, c.waiting = phaseRunning, call, nil
	call.start = c.entries.Now()
	call.deadline = deadline(call.inv, call.start.Add(call.limit), call.start)
	c.out.begin(call.inv)
	for _, o := range c.outs {
		o.begin(call.inv)
	}
	return c.announce(call)
}

// send writes a call to the connection that waits for it. Where that cannot be done the runtime has not got it, and may ask again.
func (c *lambdaConn) send(p *apiConn, call *lambdaCall, told []message) {
	handOut(told)
	if !c.tele.quiet() {
		c.tele.platform("start", startRecord{RequestID: call.id, Version: strconv.Itoa(c.start.Version.Number), Tracing: tracing(call.inv.TraceParent)})
	}
	b := strconv.AppendInt(call.message, call.deadline.UnixMilli(), 10)
	b = append(b, "\r\n\r\n"...)
	if err := p.write(append(b, call.body...), call.deadline); err == nil {
		close(call.taken)
		return
	}
	c.mu.Lock()
	if c.current == call && c.phase == phaseRunning {
		c.phase, c.current, c.waiting = phaseReady, nil, call
	}
	c.mu.Unlock()
}

// withdraw takes a call back that no runtime has taken.
func (c *lambdaConn) withdraw(call *lambdaCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting != call {
		return false
	}
	c.waiting = nil
	return true
}

// next registers the connection that waits for an invocation. The newest wins: an older one belongs to a client that gave up.
func (c *lambdaConn) next(p *apiConn) *apiError {
	c.mu.Lock()
	switch c.phase {
	case phaseRunning, phaseAnswering:
		at := c.phase
		c.mu.Unlock()
		return badState(at, "Ready")
	case phaseInit:
		c.phase = phaseReady
		c.becomeReady()
	}
	older := c.poller
	call := c.waiting
	var told []message
	if call != nil {
		c.poller = nil
		told = c.take(call)
	} else {
		c.poller = p
	}
	c.mu.Unlock()
	if older != nil && older != p {
		older.close()
	}
	if call != nil {
		c.send(p, call, told)
	}
	return nil
}

// gone forgets a connection that was closed while it waited.
func (c *lambdaConn) gone(p *apiConn) {
	c.mu.Lock()
	if c.poller == p {
		c.poller = nil
	}
	for _, e := range c.ext.all {
		if e.poller == p {
			e.poller = nil
		}
	}
	c.mu.Unlock()
}

// polling says whether a connection waits for an invocation.
func (c *lambdaConn) polling(p *apiConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.poller == p || slices.ContainsFunc(c.ext.all, func(e *extension) bool { return e.poller == p })
}

// claim gives the call that a response or error is for to who will read that: one at a time, so that of a function's many
// answers one is held.
func (c *lambdaConn) claim(id, state string) (*lambdaCall, *apiError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.current.id != id {
		return nil, errInvalidRequestID
	}
	if c.phase != phaseRunning {
		return nil, badState(c.phase, state)
	}
	c.phase = phaseAnswering
	return c.current, nil
}

// unclaim is for an answer that did not come whole: the function may try again.
func (c *lambdaConn) unclaim(call *lambdaCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == call && c.phase == phaseAnswering {
		c.phase = phaseRunning
	}
}

// answered ends a call that was claimed.
func (c *lambdaConn) answered(call *lambdaCall, r *function.Result) {
	c.settle(call)
	call.answer <- r
}

// settle lets the runtime ask for the next invocation.
func (c *lambdaConn) settle(call *lambdaCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == call && c.phase == phaseAnswering {
		c.phase = phaseReady
	}
}

// initError takes the error of a runtime that could not start.
func (c *lambdaConn) initError(f *function.Failure) *apiError {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseInit {
		return badState(c.phase, "InitError")
	}
	c.phase = phaseReady
	c.initErr = f
	c.open()
	return nil
}

// result is what a posted response means.
func (c *lambdaConn) result(call *lambdaCall, h http.Header, body []byte) *function.Result {
	if call.inv.Request != nil {
		return urlAnswer(body, h, c.start.Version.Function())
	}
	return succeeded(body, c.start.Version.Function())
}
