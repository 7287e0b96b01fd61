package entry

import (
	"errors"
	"fmt"

	"github.com/dalamb/dalamb/internal/runner"
)

// Freezer is a Conn whose instance can be held still while nothing runs on it.
type Freezer interface {
	// Freeze freezes or thaws the instance; see runner.Freezer. No invocation may be made of one that is frozen.
	Freeze(on bool) error
}

// Freeze implements Freezer.
func (in *instance) Freeze(on bool) error {
	f, can := in.box.(runner.Freezer)
	if !can {
		return fmt.Errorf("freeze instance %s: %w by runner %s", in.start.ID, errors.ErrUnsupported, in.entries.Runner.Name())
	}
	return f.Freeze(on)
}
