package function

import (
	"fmt"
	"regexp"
)

// ShadowHeader tells a function of a request, or an event as one, that it is a copy. Nobody else can set it.
const ShadowHeader = "Dalamb-Shadow"

// Shadow is the first step of a roll-out that has one: the new version gets copies of what the old one gets, and no traffic moves. What comes of
// the copies is compared and thrown away.
type Shadow struct {
	For    Duration `json:"for"`              // how long
	Sample Percent  `json:"sample"`           // of the keys; what has no key is taken one by one
	Ignore []string `json:"ignore,omitempty"` // places that may differ, as the report names them; those below them too
}

func defaultShadow() Shadow { return Shadow{For: seconds(600), Sample: 20} }

// Takes says whether what has a ticket is among the sample. It is drawn apart from the version that the ticket picks.
func (s *Shadow) Takes(ticket uint64) bool {
	const parts, other = 1_000_000, 0x736861646f77
	return mix(ticket^other)%parts < uint64(s.Sample*parts/100)
}

// Shadowing says whether a step, counted from 1, is the one in which the new version gets copies alone.
func (r *Rollout) Shadowing(step int) bool { return r.Shadow != nil && step == 1 }

func shadowValue() value[Shadow] {
	return object(nil,
		field("for", "How long. Default: 10m.", duration(), func(s *Shadow) *Duration { return &s.For }),
		field("sample", "The part of the traffic that is copied. It is chosen by key: of a key all is copied, or nothing. Default: 20%.", percent(), func(s *Shadow) *Percent { return &s.Sample }),
		field("ignore", "Places that may differ, as `dalamb rollout show` names them: result.time, or emitted[].data.id with [] for any place of a list. What is below them may differ too. Default: none.", list(text[string](), none[string]), func(s *Shadow) *[]string { return &s.Ignore }),
	)
}

// maxIgnored bounds Shadow.Ignore.
const maxIgnored = 50

// validPlace takes what a report can name: of an answer there is something below result and each of emitted.
var validPlace = regexp.MustCompile(`^(status|state|error|(result|emitted\[[0-9*]*\])(\.[^.\[\]]+|\[[0-9*]*\])*)$`)

func (c *checker) shadow(s *Shadow) {
	if s == nil {
		return
	}
	between(c.at("rollout.shadow.for"), s.For, shortestStep, longestStep)
	if s.Sample <= 0 {
		c.add("rollout.shadow.sample", "from above 0% to 100%", "%s of the traffic is nothing to judge by", s.Sample)
	}
	if len(s.Ignore) > maxIgnored {
		c.add("rollout.shadow.ignore", fmt.Sprintf("at most %d; a place stands for all below it", maxIgnored), "has %d places", len(s.Ignore))
	}
	for i, place := range s.Ignore {
		if len(place) > 500 || !validPlace.MatchString(place) {
			c.add(fmt.Sprintf("rollout.shadow.ignore[%d]", i), "such as status, error, result, result.time, result.items[].id, emitted[] or emitted[].data.id", "%q is no place in an answer", clip(place))
		}
	}
}

// Meant is the roll-out with the default in the place of a bound on differences that nothing looks for, which older versions may have.
func (r *Rollout) Meant() *Rollout {
	if r == nil || r.Shadow != nil {
		return r
	}
	c := *r
	c.Gates.Differences = defaultRollout().Gates.Differences
	return &c
}

// uncompared refuses a gate on differences that nothing looks for.
func (p *parser) uncompared(r *Rollout, before int) {
	const at = "rollout.gates.differences"
	if r != nil && r.Shadow == nil && p.given(at) && !p.reported(before, "rollout") {
		p.reportAt(at, "nothing is compared without copies", "add shadow to rollout, or take differences away")
	}
}

// ShadowRun is the data of a shadow.finished event in _dalamb.runs: what came of a copy, beside what came of the live one.
type ShadowRun struct {
	Rollout  int64    `json:"rollout"` // its id
	Function string   `json:"function"`
	Run      string   `json:"run"` // the live run's id, or the request's
	Trigger  string   `json:"trigger,omitempty"`
	Event    EventRef `json:"event,omitzero"`    // of a run
	Request  string   `json:"request,omitempty"` // of a request: its method and path, redacted
	// Kind is what the copy came to beside the live one, as of a ReplayDifference; "" = the same.
	Kind    string         `json:"kind,omitempty" enum:"different,newlyFailing,newlyPassing"`
	Changes []ReplayChange `json:"changes,omitempty"` // the first of them, and of the first copies that differ alone
	Live    ShadowSide     `json:"live"`
	Shadow  ShadowSide     `json:"shadow"`
}

// ShadowSide is one of the two invocations.
type ShadowSide struct {
	ID       string   `json:"id"` // of the invocation, by which its log lines are found
	Version  int      `json:"version"`
	Instance string   `json:"instance,omitempty"`
	Outcome  Outcome  `json:"outcome"`
	Failed   bool     `json:"failed,omitempty"` // by the function's fault: not of a request whose client is at fault
	Cold     bool     `json:"cold,omitempty"`
	Duration Duration `json:"duration"`
}

// ShadowDropped is the data of a shadow.dropped event in _dalamb.runs: copies that were not made, so that the live ones had what they need.
type ShadowDropped struct {
	Rollout  int64  `json:"rollout"`
	Function string `json:"function"`
	Dropped  int64  `json:"dropped"`
}

// ShadowFacts are what the copies of a roll-out came to.
type ShadowFacts struct {
	Compared     int64       `json:"compared"`
	Different    int64       `json:"different"`    // both succeeded or both failed, with another result, events or error
	NewlyFailing int64       `json:"newlyFailing"` // the live one succeeded
	NewlyPassing int64       `json:"newlyPassing"` // the live one failed
	Dropped      int64       `json:"dropped"`      // copies that were not made: there was too much to do
	Examples     []ShadowRun `json:"examples,omitempty"`
}

// Differing are the copies that count for the gate: who fails no more is not held back for it.
func (f *ShadowFacts) Differing() int64 { return f.Different + f.NewlyFailing }

// DifferenceRate is the part of 100 that Differing is of those compared.
func (f *ShadowFacts) DifferenceRate() Percent {
	if f.Compared == 0 {
		return 0
	}
	return Percent(100 * float64(f.Differing()) / float64(f.Compared))
}

// TooFew is what becomes of a step at whose end there were too few invocations to judge by.
type TooFew string

const (
	TooFewPass TooFew = "pass" // it counts as held
	TooFewWait TooFew = "wait" // it goes on until there are enough
	TooFewFail TooFew = "fail" // it counts as not held
)

func tooFews() []TooFew { return []TooFew{TooFewPass, TooFewWait, TooFewFail} }

// TooFewIn is what is done in a step, counted from 1. By default a step with traffic is passed: on a function that nobody calls it
// would never end. One with copies fails: nothing has moved yet, and to be judged is all that it is for.
func (r *Rollout) TooFewIn(step int) TooFew {
	switch {
	case r.Gates.TooFew != "":
		return r.Gates.TooFew
	case r.Shadowing(step):
		return TooFewFail
	}
	return TooFewPass
}
