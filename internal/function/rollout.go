package function

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Strategy is how the traffic of an alias moves from one version to another.
type Strategy string

const (
	StrategyAtOnce    Strategy = "all-at-once" // all of it in one step
	StrategyRolling   Strategy = "rolling"     // in equal, quick steps
	StrategyCanary    Strategy = "canary"      // in slow steps, of which the first are small
	StrategyBlueGreen Strategy = "blue-green"  // in one step, between as many ready instances of both
	StrategyShadow    Strategy = "shadow"      // in one step, after the new version was judged by copies
)

// Strategies are all that there are.
func Strategies() []Strategy {
	return []Strategy{StrategyAtOnce, StrategyRolling, StrategyCanary, StrategyBlueGreen, StrategyShadow}
}

// OnNewer is what becomes of a roll-out when a newer one of the same alias comes.
type OnNewer string

const (
	OnNewerSupersede OnNewer = "supersede" // the newer one begins, and the one that is under way ends
	OnNewerQueue     OnNewer = "queue"     // the newer one waits until that has ended
)

func onNewers() []OnNewer { return []OnNewer{OnNewerSupersede, OnNewerQueue} }

// Rollout is how a version is brought to an alias. It says nothing of the version itself: the same code with another roll-out is the
// same version.
type Rollout struct {
	Strategy Strategy  `json:"strategy"`
	Shadow   *Shadow   `json:"shadow,omitempty"` // before Steps; nil = they are the first
	Steps    []Percent `json:"steps,omitempty"`  // of the traffic, rising, whole, below 100; the step to all of it comes after them
	Every    Duration  `json:"every,omitzero"`   // how long each of Steps lasts
	Watch    Duration  `json:"watch"`            // how long all the traffic is watched before the roll-out ends
	Gates    Gates     `json:"gates"`
	OnNewer  OnNewer   `json:"onNewer"`
}

// Gates are what the new version has to hold; see docs/rollouts.md.
type Gates struct {
	Start   Duration `json:"start"`   // an instance is ready within so long, before any traffic comes
	Errors  Percent  `json:"errors"`  // of its invocations, beyond the part of the old version's, may fail
	Latency float64  `json:"latency"` // times the old version's; 0 = any
	// Differences is the part of the copies that may come to something else; of a roll-out with a shadow alone.
	Differences Percent `json:"differences,omitempty"`
	Sample      int     `json:"sample"`           // invocations from which on figures are judged
	TooFew      TooFew  `json:"tooFew,omitempty"` // "" = see TooFewIn
	Check       string  `json:"check,omitempty"`  // the function that is asked before each step
}

// Percent is a part of 100. Its text form is 5% or 0.5%; 5 is read too.
type Percent float64

func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// MarshalText implements encoding.TextMarshaler.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Percent) UnmarshalText(b []byte) error {
	text, sign := strings.CutSuffix(string(b), "%")
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || !(n >= 0 && n <= 100): // NaN is neither
		return fmt.Errorf("%q is not a part of 100 such as 5%%", clip(string(b)))
	case !sign && n > 0 && n < 1: // who writes 0.05 means 5% more often than not
		return fmt.Errorf("%s could be a part of 1 or of 100: write %s or %s", text, Percent(math.Round(n*1e8)/1e6), Percent(n))
	}
	*p = Percent(n)
	return nil
}

// NewRollout is a strategy with its defaults.
func NewRollout(s Strategy) *Rollout {
	r := defaultRollout()
	r.Strategy = s
	r.complete(func(string) bool { return false })
	return &r
}

// As is the roll-out with another strategy: the gates stay, and what belongs to the steps is that strategy's default.
func (r *Rollout) As(s Strategy) *Rollout {
	if r == nil {
		return NewRollout(s)
	}
	if r.Strategy == s {
		return r
	}
	other := NewRollout(s)
	other.Gates, other.OnNewer = r.Gates, r.OnNewer
	switch {
	case other.Shadow == nil:
		other.Gates.Differences = defaultRollout().Gates.Differences // nothing is compared
	case r.Shadow != nil:
		other.Shadow = r.Shadow
	}
	return other
}

// Weights are the parts of 100 that the new version gets in each step; the last is 100.
func (r *Rollout) Weights() []int {
	weights := make([]int, 0, len(r.Steps)+2)
	if r.Shadow != nil {
		weights = append(weights, 0)
	}
	for _, s := range r.Steps {
		weights = append(weights, int(s))
	}
	return append(weights, 100)
}

// Hold is how long a step, counted from 1, lasts.
func (r *Rollout) Hold(step int) time.Duration {
	switch {
	case r.Shadowing(step):
		return r.Shadow.For.Std()
	case step < len(r.Weights()):
		return r.Every.Std()
	}
	return r.Watch.Std()
}

func defaultRollout() Rollout {
	return Rollout{
		Strategy: StrategyAtOnce, OnNewer: OnNewerSupersede,
		Gates: Gates{Start: seconds(60), Errors: 5, Latency: 3, Differences: 1, Sample: 20},
	}
}

// stepped says whether a strategy moves the traffic in more than one step.
func (s Strategy) stepped() bool { return s == StrategyRolling || s == StrategyCanary }

// complete fills in the defaults that depend on the strategy, of what was not given.
func (r *Rollout) complete(given func(field string) bool) {
	if !given("steps") {
		switch r.Strategy {
		case StrategyRolling:
			r.Steps = []Percent{25, 50, 75}
		case StrategyCanary:
			r.Steps = []Percent{5, 25, 50}
		}
	}
	if !given("every") {
		switch r.Strategy {
		case StrategyRolling:
			r.Every = seconds(10)
		case StrategyCanary:
			r.Every = seconds(120)
		}
	}
	if !given("watch") {
		r.Watch = seconds(60)
		if r.Strategy == StrategyBlueGreen {
			r.Watch = seconds(300)
		}
	}
	if r.Shadow == nil && r.Strategy == StrategyShadow {
		s := defaultShadow()
		r.Shadow = &s
	}
}

func percent() value[Percent] { return unit[Percent]("a part of 100", "5%", "0.5%") }

func wholePercent() value[Percent] { return unit[Percent]("a whole part of 100", "5%", "50%") }

func rolloutValue() value[Rollout] {
	return object(nil,
		field("strategy", "How the traffic moves to the new version. Default: all-at-once.", text(Strategies()...), func(r *Rollout) *Strategy { return &r.Strategy }),
		field("shadow", "Before any traffic moves the new version gets copies of what the old one gets, and what comes of them is compared; see docs/rollouts.md. With every strategy. Default: none; strategy shadow: 20% for 10m.", pointer(shadowValue(), defaultShadow), func(r *Rollout) **Shadow { return &r.Shadow }),
		field("steps", "rolling and canary only: the whole parts of the traffic that the new version gets, one after another, before it gets all. Default: canary 5%, 25%, 50%; rolling 25%, 50%, 75%.", list(wholePercent(), none[Percent]), func(r *Rollout) *[]Percent { return &r.Steps }),
		field("every", "rolling and canary only: how long each of the steps lasts. Default: canary 2m, rolling 10s.", duration(), func(r *Rollout) *Duration { return &r.Every }),
		field("watch", "How long the new version is watched with all the traffic before the roll-out ends. Default: 1m; blue-green 5m.", duration(), func(r *Rollout) *Duration { return &r.Watch }),
		field("gates", "What the new version has to hold. If it does not, the traffic goes back to the old version.", gatesValue(), func(r *Rollout) *Gates { return &r.Gates }),
		field("onNewer", "What happens when a newer version is deployed with this while a roll-out is under way: supersede ends that one, queue waits for its end. Default: supersede.", text(onNewers()...), func(r *Rollout) *OnNewer { return &r.OnNewer }),
	)
}

func gatesValue() value[Gates] {
	return object(nil,
		field("start", "Before any traffic moves an instance has to be ready within this. Default: 1m.", duration(), func(g *Gates) *Duration { return &g.Start }),
		field("errors", "By how much the part of invocations that fail may be greater than the old version's. 100%: any. Default: 5%.", percent(), func(g *Gates) *Percent { return &g.Errors }),
		field("latency", "How many times the old version's p95 the new one's may be. 0: any. Default: 3.", number(), func(g *Gates) *float64 { return &g.Latency }),
		field("differences", "With a shadow: the part of the copies that may come to something else than the old version's own. 100%: any. Default: 1%.", percent(), func(g *Gates) *Percent { return &g.Differences }),
		field("sample", "Invocations from which on figures are judged. Default: 20.", count(), func(g *Gates) *int { return &g.Sample }),
		field("tooFew", "What happens at the end of a step with fewer: pass goes on, wait stays until there are enough, fail ends the roll-out. Default: pass; in the step with copies fail.", text(tooFews()...), func(g *Gates) *TooFew { return &g.TooFew }),
		field("check", "A function that is asked before each step, with the figures; it answers {\"ok\": true}, or {\"ok\": false, \"reason\": \"...\"}. Default: none.", text[string](), func(g *Gates) *string { return &g.Check }),
	)
}

// Bounds of a roll-out's times.
const (
	shortestStep = Duration(100 * time.Millisecond)
	longestStep  = Duration(7 * 24 * time.Hour)
	maxSteps     = 50
)

func (c *checker) rollout(function string, r *Rollout) {
	if r == nil {
		return
	}
	oneOf(c, "rollout.strategy", r.Strategy, Strategies())
	oneOf(c, "rollout.onNewer", r.OnNewer, onNewers())
	if r.Gates.TooFew != "" {
		oneOf(c, "rollout.gates.tooFew", r.Gates.TooFew, tooFews())
	}
	c.shadow(r.Shadow)
	between(c.at("rollout.watch"), r.Watch, shortestStep, longestStep)
	between(c.at("rollout.gates.start"), r.Gates.Start, shortestStep, Duration(time.Hour))
	between(c.at("rollout.gates.latency"), r.Gates.Latency, 0, 1000)
	between(c.at("rollout.gates.sample"), r.Gates.Sample, 1, 1e6)
	if check := r.Gates.Check; check == function && check != "" {
		c.add("rollout.gates.check", "choose another", "a function does not check itself")
	} else if check != "" {
		c.name("rollout.gates.check", check, "function")
	}
	c.steps(r)
}

func (c *checker) steps(r *Rollout) {
	if !r.Strategy.stepped() {
		const hint = "remove it, or set rollout.strategy to canary or rolling"
		if len(r.Steps) > 0 {
			c.add("rollout.steps", hint, "the strategy %s moves all the traffic at once", r.Strategy)
		}
		if r.Every != 0 {
			c.add("rollout.every", hint, "the strategy %s moves all the traffic at once", r.Strategy)
		}
		return
	}
	between(c.at("rollout.every"), r.Every, shortestStep, longestStep)
	if n := len(r.Steps); n == 0 || n > maxSteps {
		c.add("rollout.steps", fmt.Sprintf("from 1 to %d, such as [5%%, 25%%, 50%%]", maxSteps), "has %d steps", n)
	}
	before := Percent(0)
	for i, s := range r.Steps {
		const hint = "whole parts of 100, rising, from 1% to 99%; all of the traffic comes after them by itself"
		switch at := fmt.Sprintf("rollout.steps[%d]", i); {
		case Percent(math.Trunc(float64(s))) != s:
			c.add(at, hint, "%s is not whole", s)
			return
		case s <= before || s >= 100:
			c.add(at, hint, "%s cannot come after %s", s, before)
			return
		}
		before = s
	}
}
