package entry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// memoryEvery bounds how often an instance's memory is read: the question costs system calls.
const memoryEvery = time.Second

// hearing is how long an answer waits at most for what its function has printed before it.
const hearing = 500 * time.Millisecond

// instance is what all entries have in common: a sandbox, its output and how it ends.
type instance struct {
	entries *Entries
	start   Start
	out     *output
	box     runner.Sandbox
	missing func() string // what else it waits for before it is ready; nil = nothing
	began   time.Time     // when its sandbox was made

	mu        sync.Mutex
	peak      int64
	peakAsked time.Time
	asked     string // what came of asking its ready path last; "" = nothing accepted a connection
}

func (in *instance) notReady(why string) {
	in.mu.Lock()
	in.asked = why
	in.mu.Unlock()
}

func (in *instance) whyNotReady() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.asked
}

// spec is what every sandbox of a version shares.
func (e *Entries) spec(s Start) runner.Spec {
	v := &s.Version.Spec
	spec := runner.Spec{
		ID: s.ID, Function: v.Name, Version: s.Version.Number,
		Runner: v.Runner, CodeDir: s.CodeDir, Base: v.Base, Command: v.Entry.Command,
		Memory: int64(v.Resources.Memory), CPU: v.Resources.CPU, PIDs: v.Resources.PIDs, Files: v.Resources.Files, Tmp: int64(v.Resources.Tmp),
		Network: v.Network, Allow: reachable(v.Allow), Strict: v.Isolation == function.IsolationStrict,
		Secrets: s.Values.Secrets,
	}
	if s.Calls != nil {
		spec.Calls = v.CallHosts()
	}
	inImage(&spec, s)
	return spec
}

// instance is one that has no sandbox yet.
func (e *Entries) instance(s Start) *instance {
	return &instance{entries: e, start: s, out: newOutput(e, s)}
}

// launching is an instance to start, and the invocation that all that it prints belongs to from its first line on; nil = none.
type launching struct {
	Start
	inv *function.Invocation
}

// launch makes an instance and starts its sandbox; its output goes to the log.
func (e *Entries) launch(ctx context.Context, s launching, spec runner.Spec) (*instance, error) {
	in := e.instance(s.Start)
	if err := in.launch(ctx, s.inv, spec); err != nil {
		return nil, err
	}
	return in, nil
}

func (in *instance) launch(ctx context.Context, inv *function.Invocation, spec runner.Spec) error {
	in.out.begin(inv)
	if spec.Stdout == nil {
		spec.Stdout = in.out.stream("stdout")
	}
	spec.Stderr = in.out.stream("stderr")
	box, err := in.entries.Runner.Start(ctx, spec)
	if err != nil {
		return fmt.Errorf("start instance %s of %s: %w", in.start.ID, in.start.Version.Function(), err)
	}
	in.box, in.began = box, in.entries.Now()
	if c, can := box.(runner.Caller); can && c.Calls() != nil {
		in.start.Calls(c.Calls())
	}
	return nil
}

// Launched implements Launched.
func (in *instance) Launched() time.Time { return in.began }

func (in *instance) Usage() runner.Usage { return in.box.Usage() }

func (in *instance) timeout() time.Duration { return in.start.Version.Spec.Timeout.Std() }

// memoryKB is the peak so far, at most memoryEvery old.
func (in *instance) memoryKB() int64 {
	now := in.entries.Now()
	in.mu.Lock()
	fresh := !in.peakAsked.IsZero() && now.Sub(in.peakAsked) < memoryEvery
	peak := in.peak
	if !fresh {
		in.peakAsked = now
	}
	in.mu.Unlock()
	if fresh {
		return peak
	}
	peak = in.box.Usage().MemoryPeak >> 10
	in.mu.Lock()
	in.peak = peak
	in.mu.Unlock()
	return peak
}

// hearOut waits until what the function has printed is there, for an invocation whose caller wants it. One that is over its time does not run on
// meanwhile: it is stopped as it would be afterwards, and has said all when it is gone.
func (in *instance) hearOut(inv *function.Invocation, r *function.Result) {
	if inv.Tail == nil {
		return
	}
	if r.Outcome == function.TimedOut {
		in.box.Stop(hearing)
		return
	}
	if box, can := in.box.(runner.Flusher); can {
		box.Flush(hearing)
	}
}

// undelivered is the error of an invocation that the instance has not taken: what it has printed meanwhile is not of that, and another instance gets it.
func (in *instance) undelivered(inv *function.Invocation) error {
	in.out.leave()
	if inv.Tail != nil {
		inv.Tail.Clear()
	}
	return ErrUndelivered
}

// ended is the result of an invocation during which the sandbox ended. Valid after the sandbox is done.
func (in *instance) ended() *function.Result {
	in.out.finish()
	outcome, failure := in.explain(in.box.Exit(), function.Crashed, "before it answered")
	return &function.Result{Outcome: outcome, Failure: failure, Status: statusBadGateway}
}

// initFailed is the error of a sandbox that ended before it was ready.
func (in *instance) initFailed() *InitError {
	return in.endedBefore("before it was ready")
}

// Unused implements Unused.
func (in *instance) Unused() *InitError { return in.endedBefore("before it took an invocation") }

func (in *instance) endedBefore(when string) *InitError {
	in.out.finish()
	outcome, failure := in.explain(in.box.Exit(), function.InitError, when)
	return &InitError{Outcome: outcome, Failure: failure}
}

// most is how much of the answer to an invocation is collected, in bytes.
func (e *Entries) most(inv *function.Invocation) int64 {
	if inv.MaxAnswer > 0 {
		return min(inv.MaxAnswer, e.MaxAnswer)
	}
	return e.MaxAnswer
}

// tooLarge is the result of an answer that nobody reads to its end.
func (in *instance) tooLarge(inv *function.Invocation) *function.Result {
	most := in.entries.most(inv)
	if most < in.entries.MaxAnswer {
		return badAnswer(function.AnswerTooLarge, "function %s answered with more than the %d bytes (%s) that who asked has room for; answer with less or with where the rest is",
			in.start.Version.Function(), most, function.Bytes(most))
	}
	return badAnswer(function.AnswerTooLarge,
		"function %s answered with more than the limit of %d bytes (%s); answer with less or with where the rest is, stream it on a route, or raise limits.response of the node",
		in.start.Version.Function(), most, function.Bytes(most))
}

// explain gives an exit, and when it was, as an outcome, with the last words that the program printed.
func (in *instance) explain(x runner.Exit, other function.Outcome, when string) (function.Outcome, *function.Failure) {
	switch {
	case x.Start != "":
		return function.InitError, in.cannotStart(x.Start)
	case x.OOM:
		return function.OOM, &function.Failure{
			Type:    "Runtime.OutOfMemory",
			Message: fmt.Sprintf("function %s used more memory than its limit of %s; give it more with resources.memory", in.start.Version.Function(), in.start.Version.Spec.Resources.Memory),
		}
	}
	if other == function.InitError && x.Code == 0 {
		when += "; it has to go on running and take invocations"
	}
	f := &function.Failure{Type: "Runtime.ExitError", Message: fmt.Sprintf("function %s ended with %s %s", in.start.Version.Function(), exitText(x), when)}
	if words := in.out.lastWords(); words != "" {
		f.Message += ": " + words
	} else {
		f.Message += "; it printed nothing: let it say why on stderr"
	}
	return other, f
}

func exitText(x runner.Exit) string {
	if x.Signal != "" {
		return "signal " + x.Signal
	}
	return fmt.Sprintf("exit status %d", x.Code)
}

// awaitReady blocks until ready is closed. Where that does not come to pass the sandbox is gone when it returns.
func (in *instance) awaitReady(ctx context.Context, ready <-chan struct{}) error {
	timer := time.NewTimer(in.entries.InitTimeout)
	defer timer.Stop()
	select {
	case <-ready:
		return nil
	case <-in.box.Done():
		return in.initFailed()
	case <-timer.C:
		elsewhere := in.elsewhere() // while it is there
		in.box.Stop(0)
		return &InitError{Outcome: function.InitError, Failure: &function.Failure{
			Type:    "Sandbox.Timedout",
			Message: fmt.Sprintf("function %s was not ready within %s%s", in.start.Version.Function(), in.entries.InitTimeout, in.waitedFor(elsewhere)),
		}}
	case <-ctx.Done():
		in.box.Stop(0)
		return fmt.Errorf("wait for instance %s of %s: %w", in.start.ID, in.start.Version.Function(), ctx.Err())
	}
}

// waitedFor says what the entry expected, since a function of another entry type looks just like one that hangs.
func (in *instance) waitedFor(elsewhere string) string {
	text := ": it did not ask the Runtime API at AWS_LAMBDA_RUNTIME_API for an invocation"
	asked := in.whyNotReady()
	switch e := in.start.Version.Spec.Entry; {
	case e.Type != function.EntryHTTP:
	case asked != "":
		text = fmt.Sprintf(": %s on its port %d did not answer 2xx: %s", e.Ready, e.Port, asked)
	default:
		text = fmt.Sprintf(": nothing accepted a connection on its port %d (environment variable PORT)", e.Port)
	}
	if in.missing != nil {
		if other := in.missing(); other != "" {
			text = other
		}
	}
	text += elsewhere
	if words := in.out.lastWords(); words != "" {
		text += "; it printed: " + words
	}
	return text
}
