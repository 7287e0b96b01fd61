package audit

import (
	"context"

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
