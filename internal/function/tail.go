package function

import "sync"

// Tail keeps the end of what an invocation prints, for a caller who asked for it. Safe for concurrent use.
type Tail struct {
	most int // bytes

	mu   sync.Mutex
	kept []byte
	over bool
}

// NewTail makes one that keeps the last bytes.
func NewTail(most int) *Tail { return &Tail{most: most} }

// Write adds what was printed. It never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return len(p), nil
	}
	t.kept = append(t.kept, p[max(0, len(p)-t.most):]...)
	if over := len(t.kept) - t.most; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// Clear forgets what was printed so far: it was by an instance that has not taken the invocation.
func (t *Tail) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = nil
}

// Take gives what is kept, and keeps nothing more: what comes later is of no invocation, or of the next one.
func (t *Tail) Take() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	return t.kept
}
