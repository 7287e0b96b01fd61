package health

import "time"

// subject is who is judged: the node, or a function.
type subject struct {
	names  []string
	span   time.Duration // the window
	meters map[string]*meter
}

func newSubject(o Options, names ...string) *subject {
	s := &subject{names: names, span: o.Window, meters: map[string]*meter{}}
	for _, name := range names {
		s.meters[name] = newMeter(o.Limits.of(name), name == Errors, o.Window)
	}
	return s
}

func functionMeasures() []string { return []string{Queue, Errors, Response} }

func (l Limits) of(name string) Limit {
	return map[string]Limit{Store: l.Store, Queue: l.Queue, Errors: l.Errors, Response: l.Response}[name]
}

func (s *subject) add(name string, now time.Time, v float64) { s.meters[name].add(now, v) }

// idle says whether nothing was called within the window.
func (s *subject) idle(now time.Time) bool { return s.meters[Errors].window(now).samples == 0 }

func (s *subject) report(now time.Time) Report {
	r := Report{Measures: make([]Measure, 0, len(s.names)), Window: s.span}
	for _, name := range s.names {
		m := s.meters[name].judge(name, now)
		r.Measures = append(r.Measures, m)
		r.Grade = max(r.Grade, m.Grade)
	}
	return r
}
