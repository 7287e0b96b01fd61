package console

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// runLogLines is how many lines of one run are shown.
const runLogLines = 500

// runsPage lists runs, the newest first.
type runsPage struct {
	Function, Trigger, State, Event, Since, Before string
	States                                         []function.RunState
	Rows                                           []function.Run
	Groups                                         []errorGroup // of those of Rows that failed and are dead or tried again
	Next                                           string
	Problem, Hint                                  string
}

func (c *Console) runs(v *visit) (frame, error) {
	p := runsPage{
		Function: v.query("function"), Trigger: v.query("trigger"), State: v.query("state"), Event: v.query("event"),
		Since: v.query("since"), Before: v.query("before"), States: runStates(),
	}
	q := client.RunQuery{Function: p.Function, Trigger: p.Trigger, State: function.RunState(p.State), Event: p.Event, Limit: maxRows, After: v.query("after")}
	var err error
	if q.Since, q.Before, err = stretch(v, p.Since, p.Before); err == nil {
		var page wire.RunList
		page, err = v.Client.Runs(v.r.Context(), q)
		p.Rows, p.Next = page.Runs, page.Next
		p.Groups = grouped(slices.DeleteFunc(slices.Clone(page.Runs), func(r function.Run) bool {
			return r.State != function.RunDead && r.State != function.RunRetrying
		}))
	}
	if err := p.told(err); err != nil {
		return frame{}, err
	}
	return frame{Page: "runs", Title: "Runs", Nav: "runs", Live: q.After == "", Body: p}, nil
}

// told keeps a mistake of the visitor's for the page, which still has his form; any other error is the whole page's.
func (p *runsPage) told(err error) error {
	if fault.KindOf(err) != fault.Invalid {
		return err
	}
	p.Problem, p.Hint = err.Error(), fault.HintOf(err)
	return nil
}

// stretch reads two times as a form has them: a time, or how long ago.
func stretch(v *visit, since, before string) (a, b time.Time, err error) {
	for _, one := range []struct {
		name, text string
		at         *time.Time
	}{{"since", since, &a}, {"before", before, &b}} {
		if one.text == "" {
			continue
		}
		var ok bool
		if *one.at, ok = timeOf(one.text, v.now); !ok {
			return a, b, fault.New(fault.Invalid, "%s: %q is no time", one.name, cut(60, one.text)).WithHint("%s", clockForms)
		}
	}
	return a, b, nil
}

// runPage is one run.
type runPage struct {
	wire.RunDetail
	Result string
}

func (c *Console) run(v *visit) (frame, error) {
	d, err := v.Client.Run(v.r.Context(), v.r.PathValue("run"))
	if err != nil {
		return frame{}, err
	}
	p := runPage{RunDetail: d, Result: resultOf(&d.Run)}
	return frame{Page: "run", Title: "Run " + d.Run.ID, Nav: "runs", Live: d.Run.State == function.RunRetrying, Body: p}, nil
}

// resultOf is what a run's function gave, as text.
func resultOf(r *function.Run) string {
	switch {
	case len(r.Result) > 0:
		return pretty(r.Result)
	case len(r.ResultRaw) > 0:
		return string(bytes.ToValidUTF8(r.ResultRaw, []byte("\uFFFD")))
	}
	return ""
}

// logsPage is what was written during a run.
type logsPage struct {
	Run   string
	Lines []function.LogLine
	Cut   bool // the search for them ended early
}

// runLogs is a page of its own, which the run's fetches: lines are found by looking through what the function has written.
func (c *Console) runLogs(v *visit) (frame, error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), 3*searchTime)
	defer cancel()
	d, err := v.Client.Run(ctx, v.r.PathValue("run"))
	if err != nil {
		return frame{}, err
	}
	p := logsPage{Run: d.Run.ID}
	for line, err := range v.Logs(ctx, client.LogQuery{Function: d.Run.Function, Run: d.Run.ID, Limit: runLogLines}) {
		if ctx.Err() != nil {
			p.Cut = true
			break
		}
		if err != nil {
			return frame{}, err
		}
		p.Lines = append(p.Lines, line)
	}
	return frame{Page: "logs", Title: "Logs of run " + d.Run.ID, Nav: "runs", Body: p}, nil
}
