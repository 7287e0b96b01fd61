package function

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/event"
)

// Invocation is one attempt to run one version on one input: exactly one of Event, Payload and Request is set.
type Invocation struct {
	ID       string // unique per attempt; AWS request id, a UUID
	Run      string // the run that it belongs to; the same for all attempts
	Attempt  int    // counts from 1
	Trigger  string // "" for a direct call
	Deadline time.Time

	Event   *event.Event  // lambda: structured JSON payload; http: binary mode POST to /; stdio: structured JSON on stdin
	Payload []byte        // JSON: a direct call's (AWS Invoke), a batch, or an event in a form of its own. Given to lambda and stdio as it is, POSTed to / for http
	Request *http.Request // a route's or /_/fn/ request; lambda: function URL payload 2.0; http: as it is; stdio: its body. Body is in memory, or an Upload

	PayloadType   string // Content-Type of Payload for http; "" = application/json
	ClientContext string // base64, from X-Amz-Client-Context
	TraceParent   string // W3C; "" = none

	Chain    Chain     // what leads to it
	Identity *Identity // who sends the Request, as its route's auth found out; nil = nobody was asked

	Shadow bool // a copy: what comes of it is only compared

	// Responder, where it is set, may be given the answer of a Request as it comes. nil = the answer is collected.
	Responder Responder

	// Tail, where it is set, gets all that the function prints meanwhile, and has it when there is a result. Not of a function that takes several
	// invocations at a time: what it prints is nobody's in particular.
	Tail *Tail
	// MaxAnswer is how much of an answer is collected, in bytes, by who has room for no more; 0 = as much as the node takes. One that is longer is
	// stopped there: BadAnswer, of the type AnswerTooLarge.
	MaxAnswer int64
}

// Outcome is how an invocation ended. Everything that the function did is an outcome; an error means dalamb failed.
type Outcome string

const (
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"   // the function said so: error posted, status, exit code
	TimedOut  Outcome = "timeout"  // over Spec.Timeout or the deadline; the instance was killed
	Crashed   Outcome = "crashed"  // the process ended before it answered
	OOM       Outcome = "oom"      // killed for using more memory than Resources.Memory
	InitError Outcome = "init"     // the instance could not start or ended before it was ready
	BadAnswer Outcome = "response" // the answer is over the size limit or malformed
)

// Failure says why an invocation did not succeed, in the function's own words where it has any.
type Failure struct {
	Type    string          `json:"errorType,omitempty"`
	Message string          `json:"errorMessage"`
	Trace   json.RawMessage `json:"stackTrace,omitempty"` // as the function gave it, at most 16 KiB
}

// AnswerTooLarge is the type of the Failure of an answer that is longer than who asked takes.
const AnswerTooLarge = "Function.ResponseSizeTooLarge"

// Result is what an invocation gave.
type Result struct {
	Outcome    Outcome
	Failure    *Failure      // set unless Succeeded
	NoRetry    bool          // the function said that trying again is no use
	RetryAfter time.Duration // the function asked to wait so long; 0 = did not ask
	Status     int           // http status: of an http function, of a function URL answer; else 200, or 502/504 as a gateway would
	Header     http.Header   // of the answer; nil unless http or function URL
	Body       []byte        // the answer, at most the response limit; of a failed http function too

	// Of an answer that went to the invocation's Responder, Body is nil. What came of it is known only at its end.
	Streamed  int64       // bytes that were passed on
	Trailer   http.Header // fields after the body
	Abandoned bool        // the client went away before the end, or took nothing more

	// Events are the CloudEvents that the answer consists of; nil when it is anything else. The body is still set.
	Events []*event.Event

	Version  int
	Cold     bool          // this invocation waited for its instance to start
	Init     time.Duration // of a Cold one: how long that start took; 0 = there was none before its own
	Start    time.Time
	Duration time.Duration // of the function's own work, without queue and start
	Instance string
	MemoryKB int64 // peak of the instance so far; 0 = not known
}

// FailureType is what has failed, in one word: the type that the function gave, or else the outcome; "" = nothing has.
func (r *Result) FailureType() string {
	switch {
	case r.Outcome == Succeeded:
		return ""
	case r.Failure != nil && r.Failure.Type != "":
		return r.Failure.Type
	}
	return string(r.Outcome)
}

// Retryable says whether the run may be tried again after this result.
func (r *Result) Retryable() bool { return r.Outcome != Succeeded && !r.NoRetry }
