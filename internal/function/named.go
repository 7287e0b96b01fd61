package function

import "fmt"

// Named is a function that another one's manifest names, and cannot do without.
type Named struct {
	Field    string // that names it: route r, auth.function
	Function string
}

// Named lists the functions that have to be there when this one is deployed, or come with it; itself may be among them. Those that only hear of
// outcomes are not: see DestinationFunctions.
func (s *Spec) Named() []Named {
	var all []Named
	add := func(field, name string) {
		if name != "" {
			all = append(all, Named{field, name})
		}
	}
	for i, name := range s.Calls {
		add(fmt.Sprintf("calls[%d]", i), name)
	}
	if s.Rollout != nil {
		add("rollout.gates.check", s.Rollout.Gates.Check)
	}
	for _, of := range s.Routes() {
		at, r := "route "+of.Trigger+", ", of.Route
		add(at+"auth.function", r.Auth.AuthFunction())
		if r.Fallback != nil {
			add(at+"fallback.function", r.Fallback.Function)
		}
		for _, n := range r.Scatter.named() {
			add(at+"scatter."+n.Field, n.Function)
		}
	}
	return all
}
