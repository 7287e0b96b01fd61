package eventlog

import (
	"context"
	"errors"

	"github.com/dalamb/dalamb/internal/fault"
)

// Passing says whether an error of a log that has worked may pass without anybody changing this node: the log is away, or it does
// not let the node in just now, as while somebody changes its password or rights. A node that runs waits then; one that starts is
// better told.
func Passing(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	switch fault.KindOf(err) {
	case fault.Unauthenticated, fault.Denied:
		return true
	}
	return fault.Retryable(err)
}
