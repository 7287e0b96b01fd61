package entry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// exitNoRetry is the exit code with which a program says that trying again is no use.
const exitNoRetry = 100

// stdioConn is an instance for one invocation: the program starts with it and ends with it.
type stdioConn struct {
	entries *Entries
	start   Start
	done    chan struct{}

	mu      sync.Mutex
	used    bool
	stopped bool
	in      *instance          // while it runs and after
	cancel  context.CancelFunc // while it starts
}

func (e *Entries) newStdio(s Start) *stdioConn {
	return &stdioConn{entries: e, start: s, done: make(chan struct{})}
}

func (c *stdioConn) Done() <-chan struct{} { return c.done }

func (c *stdioConn) Stop(grace time.Duration) {
	c.mu.Lock()
	in, cancel := c.in, c.cancel
	c.stopped = true
	if !c.used {
		c.used = true
		close(c.done)
	}
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if in != nil {
		in.box.Stop(grace)
	}
	<-c.done
}

func (c *stdioConn) Usage() runner.Usage {
	c.mu.Lock()
	in := c.in
	c.mu.Unlock()
	if in == nil {
		return runner.Usage{}
	}
	return in.Usage()
}

var errUsed = errors.New("a stdio instance takes one invocation")

// begin claims the instance.
func (c *stdioConn) begin(cancel context.CancelFunc) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopped:
		return errStopped(c.start.ID)
	case c.used:
		return errUsed
	}
	c.used, c.cancel = true, cancel
	return nil
}

// started keeps the instance for Stop, and says whether that was too late.
func (c *stdioConn) started(in *instance) (stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in, c.cancel = in, nil
	return c.stopped
}

func (c *stdioConn) wasStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// Invoke implements Conn.
func (c *stdioConn) Invoke(_ context.Context, inv *function.Invocation) (*function.Result, error) {
	input, err := stdin(inv)
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := c.begin(cancel); err != nil {
		return nil, err
	}
	answer := &capture{limit: int(c.entries.most(inv))}
	spec := c.entries.spec(c.start)
	spec.Stdin, spec.Stdout = input, answer.write
	env := environ(c.start, c.entries.Region)
	now := c.entries.Now() // its time begins when it runs: it is told a little less than it has
	until := deadline(inv, now.Add(time.Duration(c.start.Version.Spec.Timeout)), now)
	env["DALAMB_DEADLINE_MS"] = strconv.FormatInt(until.UnixMilli(), 10)
	spec.Env = list(stdioEnviron(inv, env))
	in, err := c.entries.launch(starting, launching{Start: c.start, inv: inv}, spec)
	if err != nil {
		close(c.done)
		if c.wasStopped() {
			return nil, errStopped(c.start.ID)
		}
		return nil, err
	}
	late := c.started(in)
	go c.serve(in)
	if late {
		in.box.Stop(0)
	}
	return c.await(in, inv, answer)
}

// serve lives as long as the sandbox.
func (c *stdioConn) serve(in *instance) {
	<-in.box.Done()
	in.out.finish()
	close(c.done)
}

func (c *stdioConn) await(in *instance, inv *function.Invocation, answer *capture) (*function.Result, error) {
	t := clock{c.entries.Now, c.entries.Now()}
	timer := time.NewTimer(deadline(inv, t.start.Add(in.timeout()), t.start).Sub(t.start))
	defer timer.Stop()
	var r *function.Result
	select {
	case <-c.done:
		if c.wasStopped() {
			return nil, errStopped(c.start.ID)
		}
		r = c.result(in, inv, answer)
	case <-timer.C:
		r = timedOut(in.timeout())
	}
	r.MemoryKB = in.memoryKB()
	t.finish(r)
	in.hearOut(inv, r)
	return r, nil
}

// result is what the exit means. Valid when the sandbox is done.
func (c *stdioConn) result(in *instance, inv *function.Invocation, answer *capture) *function.Result {
	x := in.box.Exit()
	if x.Start != "" || x.OOM || x.Signal != "" {
		return in.ended()
	}
	body, large := answer.bytes()
	if x.Code != 0 {
		r := &function.Result{
			Outcome: function.Failed, NoRetry: x.Code == exitNoRetry, Status: statusInternalError,
			Failure: &function.Failure{Type: "Exit." + strconv.Itoa(x.Code), Message: fmt.Sprintf("function %s ended with exit status %d", c.start.Version.Function(), x.Code)},
		}
		if words := in.out.lastWords(); words != "" {
			r.Failure.Message += ": " + words
		}
		if inv.Request == nil && !large {
			r.Body = body
		}
		return r
	}
	switch {
	case large, int64(len(body))+x.Lost > c.entries.most(inv):
		return in.tooLarge(inv)
	case x.Lost > 0: // what is left may be half an answer
		r := badAnswer("Function.OutputLost", "%d bytes of output were lost, because the machine was too busy to take them", x.Lost)
		r.NoRetry = false
		return r
	}
	r := succeeded(body, c.start.Version.Function())
	if inv.Request != nil && r.Outcome == function.Succeeded {
		r.Header = http.Header{"Content-Type": {contentTypeOf(body, r.Events)}}
	}
	return r
}

func stdin(inv *function.Invocation) ([]byte, error) {
	if inv.Request != nil {
		return KeepBody(inv.Request)
	}
	return document(inv)
}

// stdioEnviron tells the program about its invocation. A request is told as CGI does. RFC 3875, section 4.1.
func stdioEnviron(inv *function.Invocation, env map[string]string) map[string]string {
	env["DALAMB_REQUEST_ID"] = inv.ID
	env["DALAMB_RUN"] = inv.Run
	env["DALAMB_ATTEMPT"] = strconv.Itoa(max(1, inv.Attempt))
	if inv.Shadow {
		env["DALAMB_SHADOW"] = shadow(inv)
	}
	if inv.TraceParent != "" {
		env["TRACEPARENT"] = inv.TraceParent
	}
	if r := inv.Request; r != nil {
		env["REQUEST_METHOD"] = r.Method
		env["PATH_INFO"] = r.URL.Path
		env["QUERY_STRING"] = r.URL.RawQuery
		env["CONTENT_TYPE"] = r.Header.Get("Content-Type")
	}
	return env
}

// capture keeps what a program prints, up to a limit.
type capture struct {
	limit int

	mu   sync.Mutex
	kept []byte
	over bool
}

func (c *capture) write(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := min(len(p), c.limit-len(c.kept))
	c.kept = append(c.kept, p[:room]...)
	c.over = c.over || room < len(p)
}

func (c *capture) bytes() (all []byte, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept, c.over
}
