package dispatch

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// classify says what a result means for the run: succeeded, tried again at some time, or dead.
type classify struct {
	now  func() time.Time
	rand func() float64
}

func (s classify) do(_ context.Context, w *work) error {
	if w.settled() {
		return nil
	}
	r := w.result
	w.attempt = function.Attempt{
		Number: len(w.before) + 1, Version: r.Version, Instance: r.Instance, ID: w.id, Start: r.Start,
		Duration: function.Duration(r.Duration), Outcome: r.Outcome, Failure: clipFailure(r.Failure), Cold: r.Cold, Note: w.note,
	}
	if r.Status != 200 {
		w.attempt.Status = r.Status
	}
	if w.batched > 1 {
		w.attempt.Batch = w.batched
	}
	if r.Outcome == function.Succeeded || w.refusedLate() {
		w.state = function.RunSucceeded
		return nil
	}
	retry, n := w.rules.Retry, tries(w.before)+1
	w.attempt.Split = w.splits()
	switch {
	case w.attempt.Split:
	case w.rules.Batch != nil && w.rules.Batch.OnError == function.OnErrorDeadLetter:
		w.settle(function.RunDead, "the batch failed (onError: %s)", function.OnErrorDeadLetter)
		return nil
	case r.NoRetry && r.Outcome == function.BadAnswer:
		w.condition = conditionNoRetry
		w.settle(function.RunDead, "the answer cannot be used, and would be the same again")
		return nil
	case r.NoRetry:
		w.condition = conditionNoRetry
		w.settle(function.RunDead, "the function said that trying again is no use")
		return nil
	case r.Failure != nil && slices.Contains(retry.Never, r.Failure.Type):
		w.condition = conditionNoRetry
		w.settle(function.RunDead, "errors of type %s are not retried (retry.never)", r.Failure.Type)
		return nil
	case n >= retry.Attempts:
		w.settle(function.RunDead, "used up its %d attempts", max(1, retry.Attempts))
		return nil
	}
	due := s.now().Add(max(backoff(retry, n, s.rand()), r.RetryAfter))
	if age := retry.MaxAge.Std(); age > 0 && due.After(w.since().Add(age)) {
		w.condition = conditionTooOld
		w.settle(function.RunDead, "the next attempt would come after maxAge (%s)", retry.MaxAge)
		return nil
	}
	w.settle(function.RunRetrying, "")
	w.due, w.attempt.Next = due, due
	return nil
}

// backoff is the wait after attempt n: full jitter below a bound that grows by the factor. r is in [0,1).
func backoff(retry function.Retry, n int, r float64) time.Duration {
	if retry.Initial <= 0 {
		return 0
	}
	bound := float64(retry.Initial) * math.Pow(max(1, retry.Factor), float64(n-1))
	if retry.Max > 0 {
		bound = min(bound, float64(retry.Max))
	}
	return time.Duration(min(bound, math.MaxInt64/4) * r)
}

// Bounds of what an attempt keeps of a failure.
const (
	maxFailureText  = 4 << 10
	maxFailureTrace = 16 << 10
)

func clipFailure(f *function.Failure) *function.Failure {
	if f == nil {
		return nil
	}
	c := *f
	c.Type, c.Message = clip(c.Type, 256), clip(c.Message, maxFailureText)
	if len(c.Trace) > maxFailureTrace {
		c.Trace = nil
	}
	return &c
}

// clip cuts a text for people at n bytes, never inside a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
