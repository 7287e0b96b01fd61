package dispatch

import "sync/atomic"

// eventShare is how much of the budget events may take, in percent. The rest is for entries: to know that an event is pending
// is worth more than to have its bytes at hand.
const eventShare = 75

// budget bounds the bytes of events, and of what is known of them, that all lanes of the node hold in memory.
type budget struct {
	max  int64
	held atomic.Int64
}

// take reserves n bytes if no more than percent of the budget is held then.
func (b *budget) take(n, percent int64) bool {
	if b.held.Add(n) > b.max/100*percent {
		b.held.Add(-n)
		return false
	}
	return true
}

// force reserves n bytes whatever is held already.
func (b *budget) force(n int64) { b.held.Add(n) }

func (b *budget) give(n int64) { b.held.Add(-n) }

// below says that less than percent of the budget is held.
func (b *budget) below(percent int64) bool { return b.held.Load() < b.max/100*percent }

func (b *budget) full() bool { return b.held.Load() >= b.max }
