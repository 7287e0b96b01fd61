package aws

import (
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// eventInvoke is AWS's FunctionEventInvokeConfig, which here is the manifest's async.
type eventInvoke struct {
	FunctionArn              string
	LastModified             float64 // seconds since 1970
	MaximumRetryAttempts     *int    `json:",omitempty"`
	MaximumEventAgeInSeconds *int    `json:",omitempty"`
	DestinationConfig        destinations
}

type destinations struct{ OnSuccess, OnFailure destination }

// destination is the ARN of a function, or kafka://TOPIC as of event source mappings.
type destination struct {
	Destination string `json:",omitempty"`
}

type eventInvokeRequest struct {
	MaximumRetryAttempts     *int
	MaximumEventAgeInSeconds *int
	DestinationConfig        *struct{ OnSuccess, OnFailure *destination }
}

func (req *eventInvokeRequest) check() error {
	if n := req.MaximumRetryAttempts; n != nil && (*n < 0 || *n > 2) {
		return badValue("MaximumRetryAttempts: %d is not from 0 to 2", *n)
	}
	if n := req.MaximumEventAgeInSeconds; n != nil && (*n < 60 || *n > 21600) {
		return badValue("MaximumEventAgeInSeconds: %d is not from 60 to 21600", *n)
	}
	return nil
}

func (l *Lambda) putEventInvoke(c *call) (any, error)    { return l.setEventInvoke(c, true) }
func (l *Lambda) updateEventInvoke(c *call) (any, error) { return l.setEventInvoke(c, false) }

// setEventInvoke replaces what there is, or only what is named.
func (l *Lambda) setEventInvoke(c *call, whole bool) (any, error) {
	var req eventInvokeRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	t, err := l.respec(c, name, func(s *function.Spec) error {
		async := function.Async{}
		switch {
		case s.Async != nil && !whole:
			async = *s.Async
		case s.Async == nil && !whole:
			return l.noEventInvoke(name)
		}
		if err := req.apply(&async); err != nil {
			return err
		}
		s.Async = &async
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.eventInvokeOf(t), nil
}

func (req *eventInvokeRequest) apply(a *function.Async) error {
	if req.MaximumRetryAttempts != nil {
		a.Attempts = *req.MaximumRetryAttempts + 1
	}
	if req.MaximumEventAgeInSeconds != nil {
		a.MaxAge = function.Duration(time.Duration(*req.MaximumEventAgeInSeconds) * time.Second)
	}
	if req.DestinationConfig == nil {
		return nil
	}
	for _, d := range []struct {
		from *destination
		to   **function.Destination
	}{{req.DestinationConfig.OnSuccess, &a.OnSuccess}, {req.DestinationConfig.OnFailure, &a.OnFailure}} {
		if d.from == nil {
			continue
		}
		var err error
		if *d.to, err = d.from.read(); err != nil {
			return err
		}
	}
	return nil
}

const kafkaScheme = "kafka://"

// read is what dalamb calls the destination; nil = nowhere.
func (d destination) read() (*function.Destination, error) {
	if d.Destination == "" {
		return nil, nil
	}
	if topic, ok := strings.CutPrefix(d.Destination, kafkaScheme); ok {
		return &function.Destination{Topic: topic}, nil
	}
	name, qualifier := function.ParseARN(d.Destination)
	if !strings.HasPrefix(d.Destination, "arn:aws:lambda:") || qualifier != "" && qualifier != latestName && qualifier != function.LiveAlias {
		return nil, badValue("Destination: %q is neither the ARN of a function without a qualifier nor kafka://TOPIC", fault.Clip(d.Destination)).
			WithHint("there are no queues and topics of AWS's here")
	}
	return &function.Destination{Function: name}, nil
}

func (l *Lambda) destinationOf(d *function.Destination) destination {
	switch {
	case d == nil:
		return destination{}
	case d.Topic != "":
		return destination{kafkaScheme + d.Topic}
	}
	return destination{function.ARN(l.o.Region, d.Function, "")}
}

func (l *Lambda) eventInvokeOf(t target) eventInvoke {
	a := t.v.Spec.Async
	out := eventInvoke{
		FunctionArn: function.ARN(l.o.Region, t.f.Name, latestName), LastModified: float64(t.v.Created.UnixMilli()) / 1000,
		DestinationConfig: destinations{l.destinationOf(a.OnSuccess), l.destinationOf(a.OnFailure)},
	}
	if a.Attempts > 0 {
		retries := a.Attempts - 1
		out.MaximumRetryAttempts = &retries
	}
	if a.MaxAge > 0 {
		seconds := wholeUnits(int64(a.MaxAge), int64(time.Second))
		out.MaximumEventAgeInSeconds = &seconds
	}
	return out
}

func (l *Lambda) noEventInvoke(name string) error {
	return fault.New(fault.NotFound, "The function %s doesn't have an EventInvokeConfig", function.ARN(l.o.Region, name, latestName))
}

func (l *Lambda) getEventInvoke(c *call) (any, error) {
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	t, err := l.find(c.ctx(), name, "")
	switch {
	case err != nil:
		return nil, err
	case t.v.Spec.Async == nil:
		return nil, l.noEventInvoke(name)
	}
	return l.eventInvokeOf(t), nil
}

// listEventInvoke has one at most: there is none of an alias or a version.
func (l *Lambda) listEventInvoke(c *call) (any, error) {
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	t, err := l.find(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	list := []eventInvoke{}
	if t.v.Spec.Async != nil {
		list = append(list, l.eventInvokeOf(t))
	}
	return struct{ FunctionEventInvokeConfigs []eventInvoke }{list}, nil
}

func (l *Lambda) deleteEventInvoke(c *call) (any, error) {
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	_, err = l.respec(c, name, func(s *function.Spec) error {
		if s.Async == nil {
			return l.noEventInvoke(name)
		}
		s.Async = nil
		return nil
	})
	return nil, err
}
