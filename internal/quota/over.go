package quota

import (
	"math"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Over is why something that is counted may not be done now, and when it may.
type Over struct {
	Fault *fault.Error // of the kind Exhausted
	Wait  time.Duration
}

func (e *Over) Error() string { return e.Fault.Error() }
func (e *Over) Unwrap() error { return e.Fault }

// RetryAfter is when to try again, as RFC 9110, section 10.2.3, has it: in whole seconds.
func (e *Over) RetryAfter() string { return strconv.Itoa(int(math.Ceil(e.Wait.Seconds()))) }
