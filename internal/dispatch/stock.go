package dispatch

// What a lane has ready to start is its stock. With a full stock more would only take memory and make the lane's record long: an
// attached lane leaves the shared scan, and a detached one reads on when half of the stock has been started. The window beyond the
// stock is for events that wait: behind their key, or for their time.
const laneStock = 1024

// stock is how many entries are a full stock: enough for two invocations at least.
func (l *lane) stock() int {
	if b := l.t.Batch; b != nil {
		return max(laneStock, 2*b.Size)
	}
	return laneStock
}

// stocked says that the lane has enough to start for a while.
func (l *lane) stocked() bool { return l.ready.len() >= l.stock() }

// restock lets a lane read on that may have too little to start.
func (l *lane) restock() {
	if l.ready.len() < l.stock()/2 && l.active() <= l.window()/2 {
		l.p.pull(l)
	}
}
