package audit

import (
	"context"
	"time"
)

// looks is how often a tree that grows fast is looked at until all are looked at again. What was stored a moment ago is still in the log's memory; with its
// reading from files, where it is packed, a record takes half as long again.
const looks = 8

// fast is how many new records a tree has at a look that hurries: for fewer a look takes longer than it spares.
const fast = 2 * tileWidth

// soon tells when the trees that grow fast are to be looked at; nil = none does.
func (k *Keeper) soon() <-chan time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.trees {
		if t.fast {
			return time.After(k.Look / looks)
		}
	}
	return nil
}

// hurry lets the trees grow that grow fast. One that cannot waits for the look at all, which alone says what that means: here nobody has asked whether its topic
// is still the one that it was.
func (k *Keeper) hurry(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble != nil {
		return
	}
	for id, t := range k.trees {
		if t.fast && k.growOne(ctx, id, t.topic) != nil {
			t.fast = false
		}
	}
}
