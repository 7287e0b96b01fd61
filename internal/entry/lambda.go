package entry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
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
	initErr  *function.Failure
	stopOnce sync.Once
}

type phase uint8

const (
	phaseInit    phase = iota // the runtime starts
	phaseReady                // it asked for an invocation, or answered the last one
	phaseRunning              // it has an invocation
)

func (p phase) String() string { return [...]string{"Started", "Ready", "Running"}[p] }

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
}

func (e *Entries) startLambda(ctx context.Context, s Start) (Conn, error) {
	spec := e.spec(s)
	spec.Listen = listenPort
	spec.Env = list(environ(s, e.Region))
	in, err := e.launch(ctx, launching{Start: s}, spec)
	if err != nil {
		return nil, err
	}
	c := &lambdaConn{
		instance: in, ready: make(chan struct{}),
		stopped: make(chan struct{}), done: make(chan struct{}),
	}
	c.api = newRuntimeAPI(c)
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
	return c, nil
}

// serve lives as long as the instance.
func (c *lambdaConn) serve() {
	served := make(chan struct{})
	go func() {
		defer close(served)
		c.api.serve(c.box.Listener())
	}()
	<-c.box.Done()
	c.api.close()
	<-served
	c.out.finish()
	close(c.done)
}

func (c *lambdaConn) Done() <-chan struct{} { return c.done }

func (c *lambdaConn) Stop(grace time.Duration) {
	c.stopOnce.Do(func() { close(c.stopped) })
	c.box.Stop(grace)
	<-c.done
}

// Invoke implements Conn.
func (c *lambdaConn) Invoke(_ context.Context, inv *function.Invocation) (*function.Result, error) {
	call, err := c.call(inv)
	if err != nil {
		return nil, err
	}
	c.deliver(call)
	timer := time.NewTimer(call.limit)
	defer timer.Stop()
	taken := call.taken
	for {
		select {
		case r := <-call.answer:
			return c.finish(call, r), nil
		case <-taken:
			taken = nil
			timer.Reset(call.deadline.Sub(c.entries.Now()))
		case <-timer.C:
			if c.withdraw(call) {
				return nil, ErrUndelivered
			}
			return c.finish(call, timedOut(call.limit)), nil
		case <-c.done:
			if c.withdraw(call) {
				return nil, ErrUndelivered
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
				return c.finish(call, c.ended()), nil
			}
		}
	}
}

func (c *lambdaConn) finish(call *lambdaCall, r *function.Result) *function.Result {
	if call.inv.Request != nil && r.Outcome == function.Failed {
		r.Body, r.Header = nil, nil // AWS: a failed function answers 502 and keeps its error to itself
	}
	r.MemoryKB = c.memoryKB()
	return clock{c.entries.Now, call.start}.finish(r)
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
	}, nil
}

func (c *lambdaConn) payload(inv *function.Invocation) ([]byte, error) {
	if inv.Request != nil {
		return urlRequest(inv, c.start.Version.Function(), c.entries.Now())
	}
	return document(inv)
}

// fields renders the answer to "next" up to the deadline, which is only known when the runtime takes the invocation.
func (c *lambdaConn) fields(inv *function.Invocation, size int) []byte {
	b := make([]byte, 0, 640+size)
	b = append(b, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: "...)
	b = append(b, inv.ID...)
	b = append(b, "\r\nLambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:"...)
	b = append(b, c.entries.Region...)
	b = append(b, ":000000000000:function:"...)
	b = append(b, c.start.Version.Function()...)
	b = append(b, ':')
	b = strconv.AppendInt(b, int64(c.start.Version.Number), 10)
	if id := xrayID(inv.TraceParent); id != "" {
		b = append(append(b, "\r\nLambda-Runtime-Trace-Id: "...), id...)
	}
	if text := clientContext(inv.ClientContext); text != nil {
		b = append(append(b, "\r\nLambda-Runtime-Client-Context: "...), text...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(size), 10)
	return append(b, "\r\nLambda-Runtime-Deadline-Ms: "...)
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
	c.take(call)
	c.mu.Unlock()
	c.send(p, call)
}

// take starts the function's time. The caller holds mu.
func (c *lambdaConn) take(call *lambdaCall) {
	c.phase, c.current, c.waiting = phaseRunning, call, nil
	call.start = c.entries.Now()
	call.deadline = deadline(call.inv, call.start.Add(call.limit), call.start)
	c.out.setRun(call.inv.Run)
}

// send writes a call to the connection that waits for it. Where that cannot be done the runtime has not got it, and may ask again.
func (c *lambdaConn) send(p *apiConn, call *lambdaCall) {
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
	case phaseRunning:
		c.mu.Unlock()
		return badState(phaseRunning, "Ready")
	case phaseInit:
		c.phase = phaseReady
		close(c.ready)
	}
	older := c.poller
	call := c.waiting
	if call != nil {
		c.poller = nil
		c.take(call)
	} else {
		c.poller = p
	}
	c.mu.Unlock()
	if older != nil && older != p {
		older.close()
	}
	if call != nil {
		c.send(p, call)
	}
	return nil
}

// gone forgets a connection that was closed while it waited.
func (c *lambdaConn) gone(p *apiConn) {
	c.mu.Lock()
	if c.poller == p {
		c.poller = nil
	}
	c.mu.Unlock()
}

// polling says whether a connection waits for an invocation.
func (c *lambdaConn) polling(p *apiConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.poller == p
}

// invocation is the call that a response or error is for.
func (c *lambdaConn) invocation(id, state string) (*lambdaCall, *apiError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.current.id != id {
		return nil, errInvalidRequestID
	}
	if c.phase != phaseRunning {
		return nil, badState(c.phase, state)
	}
	return c.current, nil
}

// answered ends a call; of two answers the first counts.
func (c *lambdaConn) answered(call *lambdaCall, state string, r *function.Result) *apiError {
	c.mu.Lock()
	at := c.phase
	first := c.current == call && at == phaseRunning
	if first {
		c.phase = phaseReady
	}
	c.mu.Unlock()
	if !first {
		return badState(at, state)
	}
	call.answer <- r
	return nil
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
	close(c.ready)
	return nil
}

// result is what a posted response means.
func (c *lambdaConn) result(call *lambdaCall, h http.Header, body []byte) *function.Result {
	if call.inv.Request != nil {
		return urlAnswer(body, h, c.start.Version.Function())
	}
	return succeeded(body, c.start.Version.Function())
}

// clientContext is the JSON text of X-Amz-Client-Context, on one line; nil when it is none.
func clientContext(encoded string) []byte {
	if encoded == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	var line bytes.Buffer
	if json.Compact(&line, raw) != nil {
		return nil
	}
	return line.Bytes()
}

// xrayID gives a W3C traceparent in AWS's form: Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=<0|1>.
func xrayID(parent string) string {
	parts := strings.Split(parent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || len(parts[2]) != 16 || strings.ContainsAny(parent, "\r\n") {
		return ""
	}
	sampled := "0"
	if strings.HasSuffix(parts[3], "1") {
		sampled = "1"
	}
	return "Root=1-" + parts[1][:8] + "-" + parts[1][8:] + ";Parent=" + parts[2] + ";Sampled=" + sampled
}
