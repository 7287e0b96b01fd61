package egress

import "sync/atomic"

// Budget is how many flows there may be at a time; each holds a descriptor of the node's. nil has no bound.
type Budget struct {
	most int64
	used atomic.Int64
}

// NewBudget makes one.
func NewBudget(most int64) *Budget { return &Budget{most: most} }

func (b *Budget) take() bool {
	if b == nil {
		return true
	}
	if b.used.Add(1) > b.most {
		b.used.Add(-1)
		return false
	}
	return true
}

func (b *Budget) give() {
	if b != nil {
		b.used.Add(-1)
	}
}
