package entry

import (
	"errors"

	"github.com/dalamb/dalamb/internal/runner"
)

// leftWaiting says of a request without an answer in time that the function never accepted its connection; "" = it did, or that is not
// known. A server that serves one connection to its end before the next does so, while dalamb keeps the first one open for the next request.
func (c *httpConn) leftWaiting(cause error) string {
	box, can := c.box.(runner.AcceptTeller)
	silent, ok := errors.AsType[errStale](cause)
	if !can || !ok {
		return ""
	}
	if waits, err := box.Waits(silent.from); err != nil || !waits {
		return ""
	}
	text := "; it never accepted the connection of this request"
	if !c.alone {
		text += ": a server that serves one connection at a time needs entry.concurrency: 1"
	}
	return text
}
