package deliver

import (
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// slack is by how much a p95 has to be above the old version's in any case: below it the difference of two versions cannot be told from
// that of two moments.
const slack = 20 * time.Millisecond

// breachOf is the gate that does not hold; nil = all do, or there is too little to judge by. over says that the step is. A version that does something
// else is often slower for it, so a difference is told rather than the time; with a breach nothing more comes, and few copies count as well.
func breachOf(g *function.Gates, f *function.RolloutFacts, over bool) *breach {
	b := judge(g, f)
	if b != nil && b.gate != function.GateLatency {
		return b
	}
	if d := compared(g, f, over || b != nil); d != nil {
		return d
	}
	return b
}

// judge holds the new version's figures against the old one's; nil = the gates hold, or there is too little to judge by.
func judge(g *function.Gates, f *function.RolloutFacts) *breach {
	if f.New.Invocations < int64(g.Sample) {
		return nil
	}
	known := f.Old.Invocations >= int64(g.Sample)
	old := function.Percent(0)
	if known {
		old = f.Old.ErrorRate()
	}
	since := f.Until.Sub(f.Since).Round(time.Second)
	if rate := f.New.ErrorRate(); rate > old+g.Errors {
		return &breach{function.GateErrors, fmt.Sprintf("%d of %d invocations failed (%.1f %%) in %s; %s, and %s more are allowed",
			f.New.Errors, f.New.Invocations, float64(rate), since, oldRate(f, known), g.Errors)}
	}
	if g.Latency == 0 || !known || f.Old.P95 == 0 || f.New.P95 == 0 {
		return nil
	}
	most := max(time.Duration(g.Latency*float64(f.Old.P95)), f.Old.P95.Std()+slack)
	if f.New.P95.Std() > most {
		return &breach{function.GateLatency, fmt.Sprintf("95 %% of %d invocations took up to %s in %s; the old version's %s%s, and %s is allowed",
			f.New.Invocations, round(f.New.P95), since, round(f.Old.P95), before(f), most.Round(time.Millisecond))}
	}
	return nil
}

// sure is how many copies have to differ before a roll-out ends ahead of its time: with few, one of them says little about the rest.
const sure = 5

// compared holds what copies came to against what may differ; over says that no more of them come.
func compared(g *function.Gates, f *function.RolloutFacts, over bool) *breach {
	s := f.Shadow
	if s == nil || s.Compared < int64(g.Sample) || s.DifferenceRate() <= g.Differences || !over && s.Differing() < sure {
		return nil
	}
	reason := fmt.Sprintf("%d of %d copies came to something else (%.1f %%), and %s may", s.Differing(), s.Compared, float64(s.DifferenceRate()), g.Differences)
	if s.NewlyFailing > 0 {
		reason += fmt.Sprintf("; %d of them fail where the old version does not", s.NewlyFailing)
	}
	return &breach{function.GateDifferences, reason}
}

// tooFew ends a step that was to be judged and cannot be.
func tooFew(g *function.Gates, f *function.RolloutFacts) *breach {
	what := "invocations"
	if f.Shadow != nil {
		what = "copies"
	}
	return &breach{function.GateSample, fmt.Sprintf("too few to judge: %d of %d %s in %s", f.New.Invocations, g.Sample, what, f.Until.Sub(f.Since).Round(time.Second))}
}

func oldRate(f *function.RolloutFacts, known bool) string {
	if !known {
		return "of the old version too little is known"
	}
	return fmt.Sprintf("%d of %d of the old version%s (%.1f %%)", f.Old.Errors, f.Old.Invocations, before(f), float64(f.Old.ErrorRate()))
}

func before(f *function.RolloutFacts) string {
	if f.Before {
		return " before the roll-out"
	}
	return ""
}

func round(d function.Duration) time.Duration {
	if d.Std() < 10*time.Millisecond {
		return d.Std().Round(10 * time.Microsecond)
	}
	return d.Std().Round(time.Millisecond)
}
