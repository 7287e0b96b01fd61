package console

import (
	"fmt"
	"strconv"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// liveOf is the version of a function that live points at first; nil = it points at none.
func liveOf(f *wire.Function) *function.Version {
	for _, a := range f.Aliases {
		for i := range f.Versions {
			if a.Name == function.LiveAlias && f.Versions[i].Number == a.Primary {
				return &f.Versions[i]
			}
		}
	}
	return nil
}

// askScale asks for the bounds of a function's instances, and holds the answer to the version whose bounds it shows.
func askScale(v *visit) (question, error) {
	fn := v.query("function")
	if fn == "" {
		return question{}, errNoFunction()
	}
	f, err := v.Client.Function(v.r.Context(), fn)
	if err != nil {
		return question{}, err
	}
	live := liveOf(&f)
	if live == nil {
		return question{}, fault.New(fault.Conflict, "the alias live of %s points at no version, so there is none to scale", fn).WithHint("make one of its versions live first")
	}
	scale := live.Spec.Scale
	return question{
		Title: "Scale " + fn + "?", Button: "Scale", Back: href("functions", fn),
		Text: fmt.Sprintf("Version %d has %d to %d instances on a node. Other bounds make another version of the same code, which comes to live as a deploy does.", live.Number, scale.Min, scale.Max),
		Points: []string{
			"The least are kept ready though nobody calls, and cost their memory all the time.",
			"What does not fit into the most waits in a queue.",
			"The next deploy brings the bounds of its manifest: write them there, too.",
		},
		Fields: []field{{"function", fn}, {"version", strconv.Itoa(live.Number)}},
		Inputs: []input{
			{Name: "min", Label: "Instances at least, on a node", Value: strconv.Itoa(scale.Min), Mode: "numeric"},
			{Name: "max", Label: "Instances at most, on a node", Value: strconv.Itoa(scale.Max), Mode: "numeric"},
		},
	}, nil
}

func scale(v *visit) (done, error) {
	fn := v.query("function")
	if fn == "" {
		return done{}, errNoFunction()
	}
	var r wire.ScaleRequest
	for _, n := range []struct {
		name string
		to   **int
	}{{"min", &r.Min}, {"max", &r.Max}} {
		text := v.query(n.name)
		if text == "" {
			continue // it stays
		}
		number, err := strconv.Atoi(text)
		if err != nil {
			return done{}, fault.New(fault.Invalid, "%s: %q is no whole number", n.name, cut(40, text)).WithHint("such as 2; leave it empty for what it is")
		}
		*n.to = &number
	}
	if text := v.query("version"); text != "" {
		var err error
		if r.Version, err = strconv.Atoi(text); err != nil {
			return done{}, fault.New(fault.Invalid, "version %q is no number", cut(40, text))
		}
	}
	did, err := v.Scale(v.r.Context(), fn, r)
	text := fmt.Sprintf("Version %d of %s has the new bounds, and is live.", did.Version, fn)
	if did.Rollout != 0 {
		text = fmt.Sprintf("Version %d of %s has the new bounds, and is rolled out.", did.Version, fn)
	}
	return done{text, href("functions", fn)}, err
}
