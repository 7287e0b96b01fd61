//go:build !linux

package runnertest

import "errors"

// exchange has no use here: there is no runner with a fence.
func exchange(string, string) error { return errors.ErrUnsupported }
