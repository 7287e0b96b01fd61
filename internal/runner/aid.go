package runner

// Aid is something that a runner does for a node where the machine lets it, and that is no part of the fence.
type Aid struct {
	Given  bool
	Detail string // what is done, or why it is not
	Remedy string // how to get it; "" when it is given
}
