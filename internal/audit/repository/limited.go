package repository

import (
	"bytes"
	"errors"
)

// How much one git may say: what a repository elsewhere has is in somebody else's hands.
const (
	maxOutput = 1 << 30 // all checkpoints of a key, for who verifies
	maxSaid   = 64 << 10
)

var errFull = errors.New("that is more than there is room for")

// limited keeps so many bytes, and no more. What comes then is an error, or is passed over by a quiet one.
type limited struct {
	text  bytes.Buffer
	left  int
	quiet bool
	full  bool
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.text.Write(b[:n])
	l.left -= n
	if n == len(b) || l.quiet {
		return len(b), nil
	}
	l.full = true
	return n, errFull
}
