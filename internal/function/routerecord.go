package function

// Record says what of the calls of a route stays in TopicRequests.
type Record string

// Values of Record.
const (
	RecordFull Record = "full" // with bodies, up to 64 KiB each; "" is the same
	RecordMeta Record = "meta" // without bodies
	RecordNone Record = "none" // nothing
)

func records() []Record { return []Record{RecordFull, RecordMeta, RecordNone} }

func (c *checker) record(at string, s *Spec, r *Route) {
	if r.Record == "" {
		return
	}
	oneOf(c, at, r.Record, records())
	switch {
	case r.Redirect != nil || r.Static != nil:
		c.add(at, "remove it", "a route that asks no function is not recorded")
	case r.Scatter != nil:
		c.add(at, "remove it", "the parts are calls of their functions, and recorded as those")
	case r.Async == LaterAlways || r.Await != nil:
		c.add(at, "remove it", "a request that is answered later is in the log in any case: it is what runs")
	case r.Record != RecordFull && r.Idempotency != nil:
		c.add(at, "remove one of both", "idempotency keeps the answer in the log, with its body")
	case r.Record == RecordNone && r.Durable:
		c.add(at, "meta, which leaves the bodies out", "what is durable is the record")
	case r.Record == RecordNone && s.Rollout != nil:
		c.add(at, "meta, which leaves the bodies out", "the gates of the roll-out count requests by their records")
	}
}
