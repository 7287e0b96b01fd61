package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxBuildLog bounds how much of what a build said is shown: its end.
const maxBuildLog = 256 << 10

// liveShown are as many aliases as the page has room for.
const liveShown = 500

// releasesPage is what was delivered, and when.
type releasesPage struct {
	Problems   []string
	Function   string    // "" = of all
	At         string    // "" = what was live then is not asked
	Then       time.Time // that it says
	Live       []liveAt
	LiveMore   int // that are not shown
	LiveCut    bool
	Problem    string
	Hint       string
	Rollouts   []wire.Rollout
	Builds     []wire.Build
	Deliveries []delivery
	Changes    []change
	Older      int64 // offset to go on below; 0 = there are no more
}

// delivery is what a hook was told, and what came of it.
type delivery struct {
	Hook string
	function.HookFinished
}

// liveAt is what an alias pointed at.
type liveAt struct {
	Function, Alias, Shares string
	Since                   time.Time
}

func (c *Console) releases(v *visit) (frame, error) {
	p := releasesPage{Function: v.query("function"), At: v.query("at")}
	before := int64(-1)
	if n, err := strconv.ParseInt(v.query("before"), 10, 64); err == nil && n > 0 {
		before = n
	}
	ctx := v.r.Context()
	all := together{}
	whole := v.who.Environment == "" // who is there for one environment has roll-outs and builds alone
	if whole {
		all.ask("changes", func() (err error) {
			p.Changes, p.Older, err = changesBefore(ctx, v, before, maxRows/2, p.Function)
			return err
		})
		all.ask("deliveries", func() (err error) { p.Deliveries, err = deliveries(ctx, v); return err })
	}
	all.ask("roll-outs", func() error {
		list, err := v.Client.Rollouts(ctx)
		list = slices.DeleteFunc(list, func(r wire.Rollout) bool { return p.Function != "" && r.Function != p.Function })
		p.Rollouts = list[:min(len(list), 20)]
		return err
	})
	all.ask("builds", func() error {
		list, err := v.Client.Builds(ctx, client.BuildQuery{Function: p.Function, Limit: 20})
		p.Builds = list.Builds
		return err
	})
	if whole && p.At != "" {
		all.ask("what was live", func() error {
			at, ok := timeOf(p.At, v.now)
			if !ok {
				p.Problem, p.Hint = strconv.Quote(cut(60, p.At))+" is no time", clockForms
				return nil
			}
			var err error
			p.Then = at
			p.Live, p.LiveCut, err = liveThen(ctx, v, at)
			p.Live = slices.DeleteFunc(p.Live, func(l liveAt) bool { return p.Function != "" && l.Function != p.Function })
			p.LiveMore = max(0, len(p.Live)-liveShown)
			p.Live = p.Live[:len(p.Live)-p.LiveMore]
			return err
		})
	}
	var err error
	if p.Problems, err = all.wait(); err != nil {
		return frame{}, err
	}
	return frame{Page: "releases", Title: "Releases", Nav: "releases", Live: before < 0 && p.At == "", Body: p}, nil
}

// deliveries are the newest of what all hooks were told.
func deliveries(ctx context.Context, v *visit) ([]delivery, error) {
	hooks, err := v.Client.Hooks(ctx)
	if err != nil {
		return nil, err
	}
	var all []delivery
	for _, h := range hooks[:min(len(hooks), 20)] {
		whole, err := v.Client.Hook(ctx, h.Name)
		if err = unlessMissing(err); err != nil {
			return nil, err
		}
		for _, d := range whole.Deliveries {
			all = append(all, delivery{h.Name, d})
		}
	}
	return all[:min(len(all), 40)], nil
}

// searchTime bounds what a page looks for event by event: what was found by then is shown, and said to be a part.
const searchTime = 3 * time.Second

// liveThen goes through the changes up to a time. cut: there were too many.
func liveThen(ctx context.Context, v *visit, at time.Time) (all []liveAt, cut bool, err error) {
	limited, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	filter, err := json.Marshal(map[string][]string{"type": {
		event.TypeFunctionDeployed, event.TypeFunctionRemoved, event.TypeAliasShifted, event.TypeAliasRemoved,
		event.TypeRolloutStarted, event.TypeRolloutStepped, event.TypeRolloutFailed, event.TypeRolloutFinished,
	}})
	if err != nil {
		return nil, false, err
	}
	type of struct{ function, alias string }
	now := map[of]liveAt{}
	for e, err := range v.Client.Events(limited, client.EventQuery{Topic: controlTopic, Filter: string(filter)}) {
		if limited.Err() != nil {
			cut = true
			break
		}
		if err != nil {
			return nil, false, err
		}
		if e.Time.After(at) {
			break
		}
		var c controlEvent
		if json.Unmarshal(e.Event, &c) != nil {
			continue
		}
		fn, alias := c.Data.Function, c.Data.Alias
		switch {
		case c.Type == event.TypeFunctionRemoved:
			maps.DeleteFunc(now, func(k of, _ liveAt) bool { return k.function == fn })
		case alias == nil:
		case c.Type == event.TypeAliasRemoved:
			delete(now, of{fn, alias.Name})
		default:
			key, says := of{fn, alias.Name}, shares(alias)
			if now[key].Shares != says {
				now[key] = liveAt{fn, alias.Name, says, e.Time}
			}
		}
	}
	return slices.SortedFunc(maps.Values(now), func(a, b liveAt) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.Alias, b.Alias))
	}), cut, nil
}

// rollout is one roll-out, whatever became of it.
func (c *Console) rollout(v *visit) (frame, error) {
	fn := v.r.PathValue("function")
	id, err := strconv.ParseInt(v.r.PathValue("rollout"), 10, 64)
	if err != nil {
		return frame{}, fault.New(fault.NotFound, "no roll-out has the number %q", cut(40, v.r.PathValue("rollout"))).WithHint("go on from the releases of %s", cut(80, fn))
	}
	r, err := v.RolloutByID(v.r.Context(), fn, id)
	if err != nil {
		return frame{}, err
	}
	return frame{Page: "rollout", Title: "Roll-out of " + fn, Nav: "releases", Live: !r.Over(), Body: r}, nil
}

// buildPage is one build and what it said.
type buildPage struct {
	wire.Build
	Log   string
	Cut   bool   // there is more before it
	NoLog string // why there is none
}

func (c *Console) build(v *visit) (frame, error) {
	id, ctx := v.r.PathValue("build"), v.r.Context()
	b, err := v.OneBuild(ctx, id)
	if err != nil {
		return frame{}, err
	}
	p := buildPage{Build: b}
	text, err := v.BuildLog(ctx, id)
	switch {
	case fault.KindOf(err) == fault.Unauthenticated:
		return frame{}, err
	case err != nil:
		p.NoLog = err.Error()
	default:
		p.Log, p.Cut, err = ending(text, maxBuildLog)
		text.Close()
		if err != nil {
			p.NoLog = err.Error()
		}
	}
	return frame{Page: "build", Title: "Build " + b.ID, Nav: "releases", Live: b.Outcome == function.BuildRunning, Body: p}, nil
}

// ending reads all of r and keeps the last so many bytes.
func ending(r io.Reader, most int) (text string, cut bool, err error) {
	var kept []byte
	part := make([]byte, 32<<10)
	for {
		n, err := r.Read(part)
		kept = append(kept, part[:n]...)
		if len(kept) > 2*most {
			kept, cut = append(kept[:0], kept[len(kept)-most:]...), true
		}
		if err == nil {
			continue
		}
		if len(kept) > most {
			kept, cut = kept[len(kept)-most:], true
		}
		if err == io.EOF {
			err = nil
		}
		return string(bytes.ToValidUTF8(kept, []byte("\uFFFD"))), cut, err
	}
}
