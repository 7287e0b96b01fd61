package audit

import (
	"context"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Place is where checkpoints are kept by somebody else than the node. It is asked by one caller at a time, in a goroutine that nothing waits for: a disk on
// another machine may never answer.
type Place interface {
	// String names it for people.
	String() string
	// Last is the checkpoint of a key that it ends with; nil = it has none. Conflict where what is there is not what was brought.
	Last(ctx context.Context, key note.Verifier) (*Signed, error)
	// Add puts checkpoints of that key behind it, in their order, durably. What it has put there before it fails, Last tells.
	Add(ctx context.Context, key note.Verifier, add []*Signed) error
}

// Number is that of the checkpoint.
func (c *Signed) Number() int64 { return c.seq }

// Time is when it was signed, by the clock of who signed.
func (c *Signed) Time() time.Time { return c.time }

// Text is the checkpoint with its signature.
func (c *Signed) Text() []byte { return c.raw }

// LastOf is the last of some signed checkpoints that stand one behind another. Its error is about that one.
func LastOf(text []byte, key note.Verifier) (*Signed, error) {
	all := pieces(text)
	if len(all) == 0 {
		return nil, errForm
	}
	return openCheckpoint(all[len(all)-1], key)
}
