package function

import "time"

// RouteConcurrency bounds how many requests of a route are under way at a time, and how many wait for their turn. Each node counts for itself.
type RouteConcurrency struct {
	Max      int      `json:"max"`
	Queue    int      `json:"queue,omitempty"` // how many wait at most; 0 = nobody
	Wait     Duration `json:"wait,omitempty"`  // how long one waits at most; 0 = DefaultTurn
	Adaptive bool     `json:"adaptive,omitempty"`
}

// DefaultTurn is how long a request waits for its turn where a manifest does not say.
const DefaultTurn = time.Second

// Patience is how long a request waits at most.
func (r *RouteConcurrency) Patience() time.Duration {
	if r.Wait == 0 {
		return DefaultTurn
	}
	return r.Wait.Std()
}

func routeConcurrencyValue() value[RouteConcurrency] {
	return object([]string{"max"},
		field("max", "Requests under way at a time, on each node.", whole(), func(r *RouteConcurrency) *int { return &r.Max }),
		field("queue", "How many more wait for their turn. Default: none.", whole(), func(r *RouteConcurrency) *int { return &r.Queue }),
		field("wait", "How long one of them waits at most, at most 1m. Default: 1s.", duration(), func(r *RouteConcurrency) *Duration { return &r.Wait }),
		field("adaptive", "Whether fewer than max are let in while answers take longer than they used to. Default: false.", truth(), func(r *RouteConcurrency) *bool { return &r.Adaptive }),
	)
}

func (c *checker) routeConcurrency(at string, r *RouteConcurrency) {
	if r == nil {
		return
	}
	between(c.at(at+".max"), r.Max, 1, 100_000)
	between(c.at(at+".queue"), r.Queue, 0, 100_000)
	if r.Wait != 0 {
		between(c.at(at+".wait"), r.Wait, Duration(time.Millisecond), Duration(time.Minute))
		if r.Queue == 0 {
			c.add(at+".wait", "say how many may wait: queue", "nobody waits where there is no queue")
		}
	}
}
