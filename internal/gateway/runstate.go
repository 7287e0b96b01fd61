package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// States of a run, as its client is told.
const (
	runAccepted   = "accepted"   // it waits for its turn, or runs
	runRetrying   = "retrying"   // it failed and is tried again
	runCancelling = "cancelling" // it is asked to end
	runSucceeded  = "succeeded"
	runFailed     = "failed"
	runWaiting    = "waiting" // the function has run; the event that is the answer did not come yet
	runCancelled  = "cancelled"
	runExpired    = "expired" // its turn did not come while the log had it, or while it was young enough
)

// runState is the JSON of a run.
type runState struct {
	ID       string          `json:"id"`
	State    string          `json:"state"`
	Accepted time.Time       `json:"accepted"`
	Attempts int             `json:"attempts,omitempty"` // that are over
	Next     *time.Time      `json:"next,omitempty"`     // when the next one is due
	Finished *time.Time      `json:"finished,omitempty"`
	Answer   *runAnswer      `json:"answer,omitempty"` // what the function answered, the body apart
	Result   json.RawMessage `json:"result,omitempty"` // the body: as it is where it is JSON, as text where it is text; absent where it is neither, or long
	Error    string          `json:"error,omitempty"`
}

type runAnswer struct {
	Status   int    `json:"status"`
	Type     string `json:"type,omitempty"`
	Size     int64  `json:"size"`
	Location string `json:"location"`
}

// resultShown is how much of a body stands in the state itself, in bytes.
const resultShown = 64 << 10

// over says whether nothing more will come.
func over(story *function.Run) bool {
	switch story.State {
	case function.RunSucceeded, function.RunDead, function.RunDiscarded, function.RunExpired:
		return true
	}
	return false
}

func standing(story *function.Run, cancelled bool) string {
	switch {
	case story != nil && story.State == function.RunSucceeded:
		return runSucceeded
	case story != nil && story.State == function.RunDead:
		return runFailed
	case story != nil && story.State == function.RunDiscarded && story.Reason == function.ReasonCancelled:
		return runCancelled
	case story != nil && over(story):
		return runExpired
	case story != nil && story.State == runFollows:
		return runWaiting
	case cancelled:
		return runCancelling
	case story != nil:
		return runRetrying
	}
	return runAccepted
}

// describe says how a run stands; story is nil where nothing has come of it.
func (g *Gateway) describe(run *lateRun, story *function.Run) runState {
	s := runState{ID: run.name.String(), Accepted: run.accepted}
	cancelled := false
	if story == nil || !over(story) {
		var err error
		if cancelled, err = g.runs.Cancelled(run.name.id); err != nil {
			g.logger.Warn("look whether a run is cancelled", "event", run.name.id, "err", err)
		}
	}
	s.State = standing(story, cancelled)
	if story == nil {
		return s
	}
	s.Attempts = len(story.Attempts)
	if n := len(story.Attempts); n > 0 && !over(story) && !story.Attempts[n-1].Next.IsZero() {
		s.Next = &story.Attempts[n-1].Next
	}
	if over(story) && !story.Finished.IsZero() {
		s.Finished = &story.Finished
	}
	switch {
	case s.State == runFailed && story.Reason == reasonDead:
		s.Error = errSequel(run).Error()
	case s.State == runFailed:
		_, s.Error = failureOf(lastOutcome(story))
	}
	if a := story.Answer; a != nil {
		s.Answer = &runAnswer{Status: a.Status, Type: typeOf(a), Size: a.Size, Location: runsPrefix + s.ID + "/answer"}
		s.Result = shownResult(a)
	}
	return s
}

// StateOf is how a run stands that is over, as its client is given it. It waits until this node knows. NotFound when the log has the request no more.
func (g *Gateway) StateOf(ctx context.Context, address string) ([]byte, error) {
	run, err := g.findRun(ctx, address)
	if err != nil {
		return nil, err
	}
	story, err := g.settled(ctx, run, maxWait)
	switch {
	case err != nil:
		return nil, err
	case story == nil || !over(story):
		return nil, fault.New(fault.Unavailable, "the node does not know yet what came of run %s", address)
	}
	text, err := json.Marshal(g.describe(run, story))
	if err != nil {
		return nil, fmt.Errorf("encode the state of run %s: %w", address, err)
	}
	return text, nil
}

// shownResult is a body that can stand in JSON, and is short.
func shownResult(a *function.Answer) json.RawMessage {
	switch {
	case len(a.Body) == 0 || len(a.Body) > resultShown:
		return nil
	case json.Valid(a.Body):
		return a.Body
	case utf8.Valid(a.Body):
		text, err := json.Marshal(string(a.Body))
		if err != nil {
			return nil
		}
		return text
	}
	return nil
}

func typeOf(a *function.Answer) string {
	if t := a.Header.Get("Content-Type"); t != "" || a.Header != nil {
		return t
	}
	return contentType(a.Body)
}

func lastOutcome(story *function.Run) function.Outcome {
	if n := len(story.Attempts); n > 0 {
		return story.Attempts[n-1].Outcome
	}
	return function.Failed
}

// showRun answers with how a run stands.
func (g *Gateway) showRun(x *exchange, status int, run *lateRun, story *function.Run) {
	x.Header().Set("Cache-Control", "no-store")
	if story == nil || !over(story) {
		x.Header().Set("Retry-After", retryAfter)
	}
	writeJSON(x, status, g.describe(run, story))
}

// answerRun answers as the function has, or says why it has not.
func (g *Gateway) answerRun(x *exchange, r *http.Request, run *lateRun, story *function.Run) error {
	x.Header().Set("Cache-Control", "no-store")
	a := story.Answer
	switch state := standing(story, false); {
	case a != nil && a.Size > int64(len(a.Body)):
		writeJSON(x, http.StatusBadGateway, wire.ErrorOf(fault.New(fault.TooLarge, "the function's answer of %d bytes was not kept", a.Size).
			WithHint("an answer that comes later has at most %s", function.Bytes(function.MaxAnswerKept))))
	case a != nil:
		x.Header().Del("Retry-After")
		answer(x, r, &function.Result{Outcome: function.Succeeded, Status: a.Status, Header: a.Header, Body: bytes.Clone(a.Body)})
	case state == runFailed && story.Reason == reasonDead:
		writeJSON(x, http.StatusBadGateway, wire.ErrorOf(errSequel(run)))
	case state == runFailed:
		failure(x, &function.Result{Outcome: lastOutcome(story)}, false)
	default:
		return fault.New(fault.Conflict, "the run %s gives no answer: it is %s", run.name, state)
	}
	return nil
}
