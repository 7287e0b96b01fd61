package function

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rules are the delivery rules of a trigger on a topic, beyond its order and its retries.
type Rules struct {
	Concurrency int          `json:"concurrency,omitempty"` // runs at a time; 0 = as many as the function's instances take
	Rate        Rate         `json:"rate,omitzero"`         // attempts that may begin
	Dedupe      *Dedupe      `json:"dedupe,omitempty"`
	Stale       Stale        `json:"stale,omitempty"`
	Effects     Effects      `json:"effects,omitempty"`
	OnSuccess   *Destination `json:"onSuccess,omitempty"`
	OnFailure   *Destination `json:"onFailure,omitempty"`
}

// Dedupe skips events that repeat one of the same source and id.
type Dedupe struct {
	Window Duration `json:"window"` // since the last one
}

// Stale says what becomes of an event that is older than the newest of its key that has been run.
type Stale string

const (
	StaleRun  Stale = "run" // what "" means
	StaleDrop Stale = "drop"
)

func stales() []Stale { return []Stale{StaleRun, StaleDrop} }

// Effects says how the events that a run emits reach the log.
type Effects string

const (
	EffectsExactlyOnce Effects = "exactly-once"  // in one transaction with the run's end; what "" means
	EffectsAtLeastOnce Effects = "at-least-once" // before it, and so again when the run is made again
)

// Destination is where the outcome of a run is sent: exactly one of both is set.
type Destination struct {
	Topic    string `json:"topic,omitempty"`
	Function string `json:"function,omitempty"` // called asynchronously
}

func (d *Destination) String() string {
	if d.Function != "" {
		return "function " + d.Function
	}
	return "topic " + d.Topic
}

// To says whether d is a topic.
func (d *Destination) To(topic string) bool { return d != nil && d.Topic == topic }

// DestinationFunctions lists the functions that outcomes are sent to, each once, in the order of their names.
func (s *Spec) DestinationFunctions() []string {
	var all []*Destination
	for i := range s.Triggers {
		all = append(all, s.Triggers[i].OnSuccess, s.Triggers[i].OnFailure)
	}
	if s.Async != nil {
		all = append(all, s.Async.OnSuccess, s.Async.OnFailure)
	}
	var names []string
	for _, d := range all {
		if d != nil && d.Function != "" {
			names = append(names, d.Function)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Async are the rules of a function's asynchronous calls.
type Async struct {
	OnSuccess *Destination `json:"onSuccess,omitempty"`
	OnFailure *Destination `json:"onFailure,omitempty"`
	Attempts  int          `json:"attempts,omitempty"` // the first one included; 0 = asyncRetry's
	MaxAge    Duration     `json:"maxAge,omitzero"`    // of a call; 0 = asyncRetry's
}

// AsyncRetry says how the function's asynchronous calls are tried.
func (s *Spec) AsyncRetry() Retry {
	r := Retry{Attempts: 3, Initial: seconds(1), Max: seconds(60), Factor: 2, MaxAge: seconds(6 * 3600)}
	if s.Async != nil {
		r.Attempts, r.MaxAge = cmp.Or(s.Async.Attempts, r.Attempts), cmp.Or(s.Async.MaxAge, r.MaxAge)
	}
	return r
}

// Rate is how often something may happen. The zero value sets no bound. Its text form is 100/s, 30/m or 5/h.
type Rate struct {
	Count int
	Per   time.Duration // a second, a minute or an hour
}

func rateUnits() map[string]time.Duration {
	return map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
}

func (r Rate) String() string {
	for unit, per := range rateUnits() {
		if per == r.Per {
			return strconv.Itoa(r.Count) + "/" + unit
		}
	}
	return strconv.Itoa(r.Count) + "/" + r.Per.String()
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(b []byte) error {
	count, unit, ok := strings.Cut(string(b), "/")
	n, err := strconv.Atoi(count)
	per := rateUnits()[unit]
	if !ok || err != nil || n < 1 || n > 1e6 || per == 0 {
		return fmt.Errorf("%q is not a rate such as 100/s, 30/m or 5/h, from 1 to 1000000", clip(string(b)))
	}
	*r = Rate{Count: n, Per: per}
	return nil
}

func effects() []Effects { return []Effects{EffectsExactlyOnce, EffectsAtLeastOnce} }

func dedupeValue() value[Dedupe] {
	return object([]string{"window"},
		field("window", "How long after an event another one counts as its repetition, from 1s to 7d.", duration(), func(d *Dedupe) *Duration { return &d.Window }),
	)
}

func destinationValue() value[Destination] {
	return object(nil,
		field("topic", "The topic that gets the outcome as an event.", text[string](), func(d *Destination) *string { return &d.Topic }),
		field("function", "The function that is called with the outcome, asynchronously.", text[string](), func(d *Destination) *string { return &d.Function }),
	)
}

func asyncValue() value[Async] {
	return object(nil,
		field("onSuccess", "Where the outcome of a call that succeeded is sent. Default: nowhere.", pointer(destinationValue(), none[Destination]), func(a *Async) **Destination { return &a.OnSuccess }),
		field("onFailure", "Where the outcome of a call is sent that became a dead letter, or was discarded by its age. Default: nowhere.", pointer(destinationValue(), none[Destination]), func(a *Async) **Destination { return &a.OnFailure }),
		field("attempts", "How often a call is tried, the first time included; at most 1000. Default: 3.", count(), func(a *Async) *int { return &a.Attempts }),
		field("maxAge", "A call that is older is not tried again. Default: 6h.", duration(), func(a *Async) *Duration { return &a.MaxAge }),
	)
}

// ruleMembers are the fields of Rules.
func ruleMembers() []member[Trigger] {
	return []member[Trigger]{
		field("concurrency", "Runs at a time, over the whole installation. Default: as many as the function's instances take.", count(), func(t *Trigger) *int { return &t.Concurrency }),
		field("rate", "Attempts that may begin, retries included, over the whole installation: 100/s, 30/m, 5/h. Default: no bound.", unit[Rate]("a rate", "100/s", "30/m", "5/h"), func(t *Trigger) *Rate { return &t.Rate }),
		field("dedupe", "An event that repeats one of the same source and id is not run again; see docs/delivery.md.", pointer(dedupeValue(), none[Dedupe]), func(t *Trigger) **Dedupe { return &t.Dedupe }),
		field("stale", "drop: an event whose sequence (or time, without one) is older than the newest of its key that has been run is not run. Default: run.", text(stales()...), func(t *Trigger) *Stale { return &t.Stale }),
		field("effects", "at-least-once: emitted events are in the log before the run's end is, sooner and perhaps twice. Default: exactly-once.", text(effects()...), func(t *Trigger) *Effects { return &t.Effects }),
		field("onSuccess", "Where the outcome of a run that succeeded is sent; see docs/delivery.md. Default: nowhere.", pointer(destinationValue(), none[Destination]), func(t *Trigger) **Destination { return &t.OnSuccess }),
		field("onFailure", "Where the outcome of a run is sent that became a dead letter, or was discarded by its age. Default: nowhere.", pointer(destinationValue(), none[Destination]), func(t *Trigger) **Destination { return &t.OnFailure }),
	}
}

// rules checks what a trigger on a topic says of its delivery.
func (c *checker) rules(at string, function string, r *Rules) {
	if r.Concurrency != 0 {
		between(c.at(at+".concurrency"), r.Concurrency, 1, 10000)
	}
	if r.Dedupe != nil {
		between(c.at(at+".dedupe.window"), r.Dedupe.Window, Duration(time.Second), Duration(7*24*time.Hour))
	}
	if r.Stale != "" {
		oneOf(c, at+".stale", r.Stale, stales())
	}
	if r.Effects != "" {
		oneOf(c, at+".effects", r.Effects, effects())
	}
	c.destination(at+".onSuccess", function, r.OnSuccess)
	c.destination(at+".onFailure", function, r.OnFailure)
}

func (c *checker) async(function string, a *Async) {
	if a != nil {
		c.destination("async.onSuccess", function, a.OnSuccess)
		c.destination("async.onFailure", function, a.OnFailure)
		if a.Attempts != 0 {
			between(c.at("async.attempts"), a.Attempts, 1, 1000)
		}
		if a.MaxAge != 0 {
			between(c.at("async.maxAge"), a.MaxAge, seconds(1), seconds(365*24*3600))
		}
	}
}

func (c *checker) destination(at, function string, d *Destination) {
	switch {
	case d == nil:
	case (d.Topic == "") == (d.Function == ""):
		c.add(at, "write {topic: T} or {function: F}", "names not exactly one of a topic and a function")
	case d.Topic != "":
		c.emitTopic(at+".topic", d.Topic)
	case d.Function == function:
		c.add(at+".function", "choose another", "the function would run for its own outcomes for ever")
	default:
		c.name(at+".function", d.Function, "function")
	}
}

// given lists the fields of Rules that are set.
func (r *Rules) given() []string {
	var names []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"concurrency", r.Concurrency != 0}, {"rate", r.Rate != Rate{}}, {"dedupe", r.Dedupe != nil}, {"stale", r.Stale != ""}, {"effects", r.Effects != ""},
		{"onSuccess", r.OnSuccess != nil}, {"onFailure", r.OnFailure != nil},
	} {
		if f.set {
			names = append(names, f.name)
		}
	}
	return names
}
