package function

// Priority is what a route is worth while its node has more to do than it can.
type Priority string

// Values of Priority.
const (
	PriorityLow    Priority = "low"
	PriorityNormal Priority = "normal" // also ""
	PriorityHigh   Priority = "high"
)

func priorities() []Priority { return []Priority{PriorityLow, PriorityNormal, PriorityHigh} }

func priorityMember() member[Route] {
	return field("priority", "What becomes of requests while the node is overloaded: low is refused as soon as it is degraded, normal in part when it is unhealthy, high never; see docs/health.md. Default: normal.",
		text(priorities()...), func(r *Route) *Priority { return &r.Priority })
}

func (c *checker) priority(at string, r *Route) {
	if r.Priority != "" {
		oneOf(c, at, r.Priority, priorities())
	}
}
