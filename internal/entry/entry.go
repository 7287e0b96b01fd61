// Package entry owns the three ways to speak to a function: the AWS Lambda Runtime API, HTTP and stdio. It turns an
// invocation into what the function understands and the function's answer, its exit or its silence into a result. It does
// not decide how many instances there are or which one gets an invocation: fleet does.
package entry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// defaultAnswer is the largest answer of a function where the node says nothing else. AWS Lambda quotas, synchronous response.
const defaultAnswer = 6 << 20

// ErrUndelivered says that the instance ended, or stopped asking for work, before it took the invocation: nothing of it
// was done, and another instance may have it.
var ErrUndelivered = errors.New("the instance ended before it took the invocation")

// Options of New. Only Runner is required.
type Options struct {
	Runner      runner.Runner
	Log         func(function.LogLine) // gets what functions print; must not block; nil = thrown away
	Region      string                 // what lambda functions are told; default us-east-1
	InitTimeout time.Duration          // until an instance is ready; default 10 s, as AWS has it
	MaxAnswer   int64                  // of a function that is collected, in bytes; default 6 MiB
	Now         func() time.Time
}

// Entries starts instances. Safe for concurrent use.
type Entries struct {
	Options
}

// New checks the options.
func New(o Options) (*Entries, error) {
	if o.Runner == nil {
		return nil, errors.New("entry needs a runner")
	}
	if o.Log == nil {
		o.Log = func(function.LogLine) {}
	}
	if o.Region == "" {
		o.Region = function.AWSRegion
	}
	if o.InitTimeout == 0 {
		o.InitTimeout = 10 * time.Second
	}
	if o.MaxAnswer == 0 {
		o.MaxAnswer = defaultAnswer
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Entries{Options: o}, nil
}

// Start says which instance to start.
type Start struct {
	ID      string // of the instance; [a-z0-9-]
	Version *function.Version
	CodeDir string
	Root    []string // directories of the layers of the version's image, the lowest first; nil = it has none
	Ahead   bool     // started before anybody asked for it
	Values  Values
	// Calls gets the listener of each sandbox by which the function asks for others, and must not block; nil = it cannot ask.
	Calls func(net.Listener)
}

// Values are what a function takes from outside of its version.
type Values struct {
	Config  map[string]string // variables
	Secrets *runner.Secrets   // nil = none
}

// Conn is one instance that is ready for invocations. Safe for concurrent use.
type Conn interface {
	// Invoke runs one invocation and blocks until the function has answered, ended or used up its time; ctx does not
	// shorten that, since what a function has begun cannot be taken back. A lambda takes one invocation at a time, stdio one
	// in its life (one at a time by lines), http as many as its concurrency. After a time-out the function is still running: the caller must Stop the instance.
	// An error is ErrUndelivered, or Unavailable after Stop, or means that the runner failed.
	Invoke(ctx context.Context, inv *function.Invocation) (*function.Result, error)
	// Done is closed when the instance is gone and its output delivered.
	Done() <-chan struct{}
	// Stop ends the instance as runner.Sandbox.Stop does and blocks until Done. An invocation that runs ends with an error.
	Stop(grace time.Duration)
	// Usage is what the instance has used so far.
	Usage() runner.Usage
}

// Rester is an ability of a Conn: the instance may be busy with an invocation for longer than until its answer.
type Rester interface {
	// Rests says whether it is so now.
	Rests() bool
	// Rest blocks until the instance can take another invocation, or has ended.
	Rest()
}

// Silent is an ability of a Conn: its function has no way to say that it is ready, so that it has an invocation, or none, while its program
// still starts.
type Silent interface {
	// Settles says how long after Start such a function has to go on running until one may take it that it does start.
	Settles() time.Duration
}

// Launched is an ability of a Conn: it knows when its sandbox was made and ran the program, which then had to become ready.
type Launched interface{ Launched() time.Time }

// Unused is an ability of a Conn: it knows why it ended by itself before it took an invocation.
type Unused interface {
	// Unused says so in the program's own words. Valid after Done.
	Unused() *InitError
}

// InitError says that an instance could not start or ended before it was ready, in the program's own words.
type InitError struct {
	Outcome function.Outcome // InitError or OOM
	Failure *function.Failure
}

func (e *InitError) Error() string { return "start function: " + e.Failure.Message }

// Result is what invocations that waited for this instance get.
func (e *InitError) Result() *function.Result {
	return &function.Result{Outcome: e.Outcome, Failure: e.Failure, Status: statusBadGateway}
}

// Start makes an instance and blocks until it is ready: a lambda has asked for its first invocation, an http function accepts
// connections or answers its ready path; stdio is ready at once: its sandbox starts with the invocation, or is Silent. The error is an *InitError when the function
// is at fault; anything else means that dalamb failed. When ctx ends first, nothing is left.
func (e *Entries) Start(ctx context.Context, s Start) (Conn, error) {
	switch typ := s.Version.Spec.Entry.Type; typ {
	case function.EntryLambda:
		return e.startLambda(ctx, s)
	case function.EntryHTTP:
		return e.startHTTP(ctx, s)
	case function.EntryStdio:
		if s.Version.Spec.Entry.Mode == function.ModeLines {
			return e.startLines(ctx, s)
		}
		return e.newStdio(s), nil
	default:
		return nil, fault.New(fault.Invalid, "function %s: entry type %q is not known", s.Version.Function(), typ).
			WithHint("entry.type is lambda, http or stdio")
	}
}

// Statuses of a result that the function itself gave none for, as a gateway in front of it would answer.
const (
	statusOK             = 200
	statusInternalError  = 500
	statusBadGateway     = 502
	statusGatewayTimeout = 504
)

func errStopped(id string) error {
	return fault.New(fault.Unavailable, "instance %s was stopped while the function ran", id)
}

// clock measures the function's own work.
type clock struct {
	now   func() time.Time
	start time.Time
}

func (c clock) finish(r *function.Result) *function.Result {
	r.Start, r.Duration = c.start, c.now().Sub(c.start)
	return r
}

// deadline is when the function's time is up: its time-out counts from the start of its work, not from the call.
func deadline(inv *function.Invocation, timeout, start time.Time) time.Time {
	if !inv.Deadline.IsZero() && inv.Deadline.Before(timeout) && inv.Deadline.After(start) {
		return inv.Deadline
	}
	return timeout
}

func timedOut(limit time.Duration) *function.Result {
	return &function.Result{
		Outcome: function.TimedOut,
		Failure: &function.Failure{Type: "Sandbox.Timedout", Message: fmt.Sprintf("the function ran longer than its time-out of %s", limit)},
		Status:  statusGatewayTimeout,
	}
}

func badAnswer(typ, format string, args ...any) *function.Result {
	return &function.Result{
		Outcome: function.BadAnswer,
		Failure: &function.Failure{Type: typ, Message: fmt.Sprintf(format, args...)},
		NoRetry: true, // the same input gives the same answer
		Status:  statusBadGateway,
	}
}
