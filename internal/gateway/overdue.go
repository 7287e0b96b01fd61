package gateway

import (
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// The times of a route's timeout, as the manifest calls them.
const (
	timeConnect   = "connect"
	timeFirstByte = "firstByte"
	timeTotal     = "total"
)

// overdue says which time was over, and for whose answer; cause may be nil.
func overdue(which string, whose answerer, after time.Duration, cause error) error {
	what := map[string]string{
		timeConnect: "no instance took the request in time", timeFirstByte: string(whose) + " did not begin its answer in time", timeTotal: "the answer was not complete in time",
	}[which]
	err := fault.New(fault.Timeout, "%s: the route's timeout.%s is %s", what, which, after).
		WithHint("%s, which may go on", whose.hint())
	err.Err = cause
	return err
}
