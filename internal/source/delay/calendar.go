package delay

import "container/heap"

// mark is what is known in memory of an event that waits.
type mark struct {
	wake   int64 // when it is looked at: when it is due, or, where its topic was missing then, later
	offset int64
	due    int64
	random uint64
}

type ident struct {
	due    int64
	random uint64
}

// calendar tells what is due next. An event that is taken out of the set stays in the heap until it comes up, or until such are half of it.
type calendar struct {
	marks marks
	live  map[ident]bool
}

func newCalendar() *calendar { return &calendar{live: map[ident]bool{}} }

func (c *calendar) has(id ident) bool { return c.live[id] }

// load puts an event in while the heap is not in order; sort follows.
func (c *calendar) load(m mark) {
	if id := (ident{m.due, m.random}); !c.live[id] {
		c.live[id] = true
		c.marks = append(c.marks, m)
	}
}

func (c *calendar) sort() {
	c.tidy()
	heap.Init(&c.marks)
}

func (c *calendar) add(m mark) {
	if id := (ident{m.due, m.random}); !c.live[id] {
		c.live[id] = true
		heap.Push(&c.marks, m)
	}
}

// again puts an event back that take has given and that is still to come.
func (c *calendar) again(m mark) { heap.Push(&c.marks, m) }

func (c *calendar) drop(id ident) {
	delete(c.live, id)
	if len(c.marks) > 2*len(c.live)+1024 {
		c.sort()
	}
}

// tidy drops the marks of what is gone.
func (c *calendar) tidy() {
	kept := c.marks[:0]
	for _, m := range c.marks {
		if c.live[ident{m.due, m.random}] {
			kept = append(kept, m)
		}
	}
	c.marks = kept
}

// next is when something is to be looked at next.
func (c *calendar) next() (wake int64, ok bool) {
	for len(c.marks) > 0 && !c.live[ident{c.marks[0].due, c.marks[0].random}] {
		heap.Pop(&c.marks)
	}
	if len(c.marks) == 0 {
		return 0, false
	}
	return c.marks[0].wake, true
}

// take removes from the heap, and not from the set, what is to be looked at by now: at most so many, in order.
func (c *calendar) take(now int64, most int) []mark {
	var out []mark
	for len(out) < most {
		wake, ok := c.next()
		if !ok || wake > now {
			break
		}
		out = append(out, heap.Pop(&c.marks).(mark))
	}
	return out
}

// marks is a heap: what is due first, and what came first of that.
type marks []mark

func (m marks) Len() int { return len(m) }
func (m marks) Less(i, j int) bool {
	if m[i].wake != m[j].wake {
		return m[i].wake < m[j].wake
	}
	return m[i].offset < m[j].offset
}
func (m marks) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *marks) Push(x any)   { *m = append(*m, x.(mark)) }
func (m *marks) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	*m = (*m)[:last]
	return x
}
