//go:build unix

package disk

import (
	"errors"
	"syscall"
)

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// isHeld says that another process has the lock.
func isHeld(err error) bool { return errors.Is(err, syscall.EAGAIN) }
