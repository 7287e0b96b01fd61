package function

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// manifestOf is a manifest of one function whose roll-out is this.
func manifestOf(rollout string) []byte {
	return []byte("name: pay\nentry: {type: lambda, command: [./a]}\nrollout: " + rollout + "\n")
}

func TestRolloutsHaveTheirStrategysDefaults(t *testing.T) {
	for text, want := range map[string]struct {
		weights []int
		first   time.Duration
		last    time.Duration
	}{
		"{}":                                      {[]int{100}, time.Minute, time.Minute},
		"{strategy: all-at-once}":                 {[]int{100}, time.Minute, time.Minute},
		"{strategy: blue-green}":                  {[]int{100}, 5 * time.Minute, 5 * time.Minute},
		"{strategy: rolling}":                     {[]int{25, 50, 75, 100}, 10 * time.Second, time.Minute},
		"{strategy: canary}":                      {[]int{5, 25, 50, 100}, 2 * time.Minute, time.Minute},
		"{strategy: shadow}":                      {[]int{0, 100}, 10 * time.Minute, time.Minute},
		"{shadow: {for: 30s}}":                    {[]int{0, 100}, 30 * time.Second, time.Minute},
		"{strategy: rolling, shadow: {for: 30s}}": {[]int{0, 25, 50, 75, 100}, 30 * time.Second, time.Minute},
		"{strategy: canary, steps: [1%, 2], every: 5s, watch: 7s}": {[]int{1, 2, 100}, 5 * time.Second, 7 * time.Second},
	} {
		m, err := ParseManifest("dalamb.yaml", manifestOf(text))
		if err != nil {
			t.Errorf("rollout: %s: %v", text, err)
			continue
		}
		r := m.Functions[0].Spec.Rollout
		if got := r.Weights(); !reflect.DeepEqual(got, want.weights) {
			t.Errorf("rollout: %s: Weights = %v, want %v", text, got, want.weights)
		}
		if first, last := r.Hold(1), r.Hold(len(want.weights)); first != want.first || last != want.last {
			t.Errorf("rollout: %s: the first step lasts %s and the last %s, want %s and %s", text, first, last, want.first, want.last)
		}
		if r.Gates != (Gates{Start: seconds(60), Errors: 5, Latency: 3, Differences: 1, Sample: 20}) || r.OnNewer != OnNewerSupersede {
			t.Errorf("rollout: %s: gates %+v, onNewer %s; want the defaults", text, r.Gates, r.OnNewer)
		}
	}
}

func TestRolloutsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"{strategy: canari}":                            "did you mean canary?",
		"{steps: [5%]}":                                 "rollout.steps: the strategy all-at-once moves all the traffic at once",
		"{strategy: blue-green, every: 1s}":             "rollout.every: the strategy blue-green",
		"{strategy: canary, steps: [50%, 25%]}":         "rollout.steps[1]: 25% cannot come after 50%",
		"{strategy: canary, steps: [0%]}":               "rollout.steps[0]",
		"{strategy: canary, steps: [100%]}":             "rollout.steps[0]",
		"{strategy: canary, steps: [2.5%]}":             "rollout.steps[0]: 2.5% is not whole",
		"{strategy: canary, steps: [many]}":             `"many" is not a part of 100`,
		"{strategy: canary, steps: [101%]}":             "is not a part of 100",
		"{strategy: canary, every: 1ms}":                "rollout.every",
		"{strategy: canary, every: 0s}":                 "dalamb.yaml:3:36: rollout.every: 0s is out of range",
		"{strategy: canary, steps: []}":                 "rollout.steps: has 0 steps",
		"{watch: 0s}":                                   "rollout.watch: 0s",
		"{strategy: shadow, steps: [5%]}":               "rollout.steps: the strategy shadow",
		"{shadow: {for: 0s}}":                           "rollout.shadow.for: 0s",
		"{shadow: {sample: 0%}}":                        "rollout.shadow.sample: 0% of the traffic is nothing",
		"{shadow: {ignore: [time]}}":                    `rollout.shadow.ignore[0]: "time" is no place in an answer`,
		"{shadow: {ignore: [result, emitted]}}":         `rollout.shadow.ignore[1]: "emitted" is no place in an answer (such as`,
		"{shadow: {ignore: [emitted.data.id]}}":         "emitted[].data.id",
		"{shadow: {ignore: [result.]}}":                 "is no place",
		"{shadow: {ignore: ['result.items[].']}}":       "is no place",
		"{shadow: {ignore: ['result.items[a]']}}":       "is no place",
		"{shadow: {ignore: [status.code]}}":             "is no place",
		"{shadow: {sample: 0.2}}":                       "rollout.shadow.sample: 0.2 could be a part of 1 or of 100: write 20% or 0.2%",
		"{gates: {errors: 0.05}}":                       "write 5% or 0.05%",
		"{gates: {differences: 5%}}":                    "dalamb.yaml:3:32: rollout.gates.differences: nothing is compared without copies",
		"{strategy: canary, gates: {differences: 5%}}":  "nothing is compared without copies (add shadow to rollout",
		"{watch: 0s, gates: {start: 0s}}":               "rollout.gates.start: 0s is out of range",
		"{gates: {tooFew: skip}}":                       "rollout.gates.tooFew",
		"{gates: {differences: 101%}}":                  "is not a part of 100",
		"{watch: 30d}":                                  "rollout.watch",
		"{onNewer: wait}":                               "rollout.onNewer",
		"{gates: {sample: 0}}":                          "rollout.gates.sample",
		"{gates: {latency: -1}}":                        "rollout.gates.latency",
		"{gates: {errors: -1%}}":                        "is not a part of 100",
		"{gates: {check: pay}}":                         "a function does not check itself",
		"{gates: {check: Pay}}":                         "rollout.gates.check",
		"{gates: {start: 2h}}":                          "rollout.gates.start",
		"{gates: {error: 5%}}":                          "errors",
		"{strategy: canary, steps: [5%], percent: [5]}": "percent",
	} {
		_, err := ParseManifest("dalamb.yaml", manifestOf(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rollout: %s: %v, want an error with %q", text, err, want)
		}
	}
}

func TestPlacesAndPartsThatCanBe(t *testing.T) {
	m, err := ParseManifest("dalamb.yaml", manifestOf("{strategy: shadow, shadow: {sample: 20, ignore: [status, state, error, result, result.time, 'result.items[].id', 'result[0].b c', 'emitted[]', 'emitted[*].data.id']}, gates: {errors: 1, differences: 0.5%}}"))
	if err != nil {
		t.Fatal(err)
	}
	if r := m.Functions[0].Spec.Rollout; r.Shadow.Sample != 20 || r.Gates.Errors != 1 || r.Gates.Differences != 0.5 {
		t.Errorf("a sample of %s, errors %s, differences %s; want 20%%, 1%% and 0.5%%", r.Shadow.Sample, r.Gates.Errors, r.Gates.Differences)
	}
}

func TestTheWayToAVersionIsNoPartOfIt(t *testing.T) {
	s := Spec{Name: "pay"}
	before := s.Digest("sha256:00", "")
	s.Rollout = NewRollout(StrategyCanary)
	if got := s.Digest("sha256:00", ""); got != before {
		t.Error("another roll-out makes another version")
	}
	if s.Rollout == nil {
		t.Error("Digest changed the Spec")
	}
}

func TestAnotherStrategyKeepsTheGates(t *testing.T) {
	r := NewRollout(StrategyCanary)
	r.Gates.Check, r.Gates.Differences, r.OnNewer, r.Watch = "smoke", 30, OnNewerQueue, seconds(7)
	if got := r.As(StrategyCanary); got != r {
		t.Errorf("As its own strategy = %+v, want it as it is", got)
	}
	got := r.As(StrategyAtOnce)
	if got.Steps != nil || got.Every != 0 || got.Watch != seconds(60) || got.Gates.Check != "smoke" || got.Gates.Differences != 1 || got.OnNewer != OnNewerQueue {
		t.Errorf("As all-at-once = %+v, want that strategy's steps, and the gates", got)
	}
	if got := (*Rollout)(nil).As(StrategyRolling); got.Strategy != StrategyRolling || len(got.Steps) != 3 {
		t.Errorf("As without a roll-out = %+v, want the default one", got)
	}
}

func TestPercentSurvivesTheWire(t *testing.T) {
	for _, p := range []Percent{0, 0.5, 5, 12.25, 100} {
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Percent
		if err := json.Unmarshal(b, &back); err != nil || back != p {
			t.Errorf("%v came back as %v, %v", p, back, err)
		}
	}
}

func TestAShadowsSampleIsItsPartAndWholeByKey(t *testing.T) {
	s := Shadow{Sample: 20}
	taken := map[int]int{} // by the version that has the key in a canary
	canary := Alias{Primary: 1, Weights: map[int]int{2: 50}}
	for i := range 20_000 {
		ticket := Ticket("pay", fmt.Sprint(i))
		if s.Takes(ticket) {
			taken[canary.Pick(ticket)]++
		}
		if s.Takes(ticket) != s.Takes(Ticket("pay", fmt.Sprint(i))) {
			t.Fatalf("key %d is taken once, and once not", i)
		}
	}
	for v, n := range taken {
		if n < 1800 || n > 2200 {
			t.Errorf("%d of 10000 keys that have version %d are taken, want a fifth: %v", n, v, taken)
		}
	}
	all, none := Shadow{Sample: 100}, Shadow{Sample: 0}
	if !all.Takes(0) || !all.Takes(1<<63) || none.Takes(0) {
		t.Error("100% takes everything and 0% nothing")
	}
}

func TestTooFewIsPassedWithTrafficAndFailsWithCopies(t *testing.T) {
	r := NewRollout(StrategyShadow)
	if got := []TooFew{r.TooFewIn(1), r.TooFewIn(2)}; !reflect.DeepEqual(got, []TooFew{TooFewFail, TooFewPass}) {
		t.Errorf("by default %v, want fail and pass", got)
	}
	r.Gates.TooFew = TooFewWait
	if got := r.TooFewIn(1); got != TooFewWait {
		t.Errorf("in the step with copies %s, want what the manifest says", got)
	}
}
