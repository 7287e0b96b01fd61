package console

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// deadPage lists dead letters, the newest first, and groups those of the page by their error.
type deadPage struct {
	Function, Trigger, Error, Pattern, Since, Before string
	Rows                                             []function.Run
	Groups                                           []errorGroup
	Next                                             string
	Problem, Hint                                    string
}

func (c *Console) dead(v *visit) (frame, error) {
	p := deadPage{
		Function: v.query("function"), Trigger: v.query("trigger"), Error: v.query("error"), Pattern: v.query("pattern"),
		Since: v.query("since"), Before: v.query("before"),
	}
	q := client.DeadQuery{Function: p.Function, Trigger: p.Trigger, Error: p.Error, Pattern: p.Pattern, Limit: maxRows, After: v.query("after")}
	var err error
	if q.Since, q.Before, err = stretch(v, p.Since, p.Before); err == nil {
		var page wire.DeadList
		page, err = v.Client.DeadLetters(v.r.Context(), q)
		p.Next = page.Next
		for _, d := range page.DeadLetters {
			p.Rows = append(p.Rows, d.Run)
		}
		p.Groups = grouped(p.Rows)
	}
	if fault.KindOf(err) == fault.Invalid {
		p.Problem, p.Hint, err = err.Error(), fault.HintOf(err), nil
	}
	return frame{Page: "dead", Title: "Dead letters", Nav: "dead", Body: p}, err
}

// deadLetterPage is one dead letter.
type deadLetterPage struct {
	function.DeadLetter
	Edited  string // the event as it is in the form
	Problem string
	Hint    string
}

func (c *Console) deadLetter(v *visit) (frame, error) {
	d, err := v.Client.DeadLetter(v.r.Context(), v.r.PathValue("run"))
	if err != nil {
		return frame{}, err
	}
	return deadFrame(deadLetterPage{DeadLetter: d, Edited: pretty(d.Event)}), nil
}

func deadFrame(p deadLetterPage) frame {
	return frame{Page: "deadletter", Title: "Dead letter " + p.Run.ID, Nav: "dead", Body: p}
}

// edit runs a dead letter again with the event that the form has in the place of its own.
func (c *Console) edit(v *visit) (frame, error) {
	run, ctx := v.r.PathValue("run"), v.r.Context()
	text := v.r.PostFormValue("event")
	err := error(fault.New(fault.Invalid, "the event is no JSON").WithHint("it is a CloudEvent in structured form"))
	if json.Valid([]byte(text)) {
		var done wire.DeadEdited
		if done, err = v.Client.EditDead(ctx, run, wire.DeadEdit{Event: json.RawMessage(text)}); err == nil {
			v.session.say("The event runs again as " + done.Event + ".")
			http.Redirect(v.w, v.r, href("runs", "?", "event", done.Event), http.StatusSeeOther)
			return frame{}, nil
		}
	}
	if fault.KindOf(err) != fault.Invalid {
		return frame{}, err
	}
	d, missing := v.Client.DeadLetter(ctx, run)
	if missing != nil {
		return frame{}, missing
	}
	return deadFrame(deadLetterPage{DeadLetter: d, Edited: text, Problem: err.Error(), Hint: fault.HintOf(err)}), nil
}

// redrivePage is how far a redrive is.
type redrivePage struct {
	wire.RedriveState
	Of int // dead letters that were selected when it began; 0 = the page's address does not say
}

func (c *Console) redrive(v *visit) (frame, error) {
	state, err := v.Client.RedriveState(v.r.Context(), v.r.PathValue("job"))
	if err != nil {
		return frame{}, err
	}
	of, _ := strconv.Atoi(v.query("of")) // what is no number says nothing
	return frame{Page: "redrive", Title: "Redrive " + state.Job, Nav: "dead", Live: !state.Finished, Body: redrivePage{state, max(0, of)}}, nil
}
