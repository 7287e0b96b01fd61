package aws

import (
	"github.com/dalamb/dalamb/internal/function"
)

// concurrency is what a function keeps for itself, and cannot go beyond. AWS Lambda API reference, PutFunctionConcurrency.
type concurrency struct{ ReservedConcurrentExecutions int }

// defaultMax is scale.max of a manifest that says nothing.
const defaultMax = 10

func (l *Lambda) putConcurrency(c *call) (any, error) {
	var req struct{ ReservedConcurrentExecutions *int }
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	n, most := req.ReservedConcurrentExecutions, l.o.Instances()
	switch {
	case n == nil:
		return nil, badValue("ReservedConcurrentExecutions: it is not there")
	case *n == 0:
		return nil, badValue("ReservedConcurrentExecutions: 0 is not there").WithHint("dalamb pause stops a function's triggers")
	case *n < 0 || *n > most:
		return nil, badValue("ReservedConcurrentExecutions: %d is not from 1 to the %d instances that a node may have", *n, most)
	}
	_, err = l.respec(c, name, func(s *function.Spec) error {
		s.Scale.Max, s.Scale.Reserved = *n, *n
		return nil
	})
	return concurrency{*n}, err
}

// getConcurrency answers with nothing where nothing is reserved, as AWS does.
func (l *Lambda) getConcurrency(c *call) (any, error) {
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	t, err := l.find(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	if reserved := reservedOf(t.v); reserved != nil {
		return reserved, nil
	}
	return struct{}{}, nil
}

// reservedOf is what a version keeps; nil = nothing.
func reservedOf(v *function.Version) *concurrency {
	if n := v.Spec.Scale.Reserved; n > 0 {
		return &concurrency{n}
	}
	return nil
}

func (l *Lambda) deleteConcurrency(c *call) (any, error) {
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	_, err = l.respec(c, name, func(s *function.Spec) error {
		if s.Scale.Reserved > 0 {
			s.Scale.Reserved, s.Scale.Max = 0, max(defaultMax, s.Scale.Min)
		}
		return nil
	})
	return nil, err
}
