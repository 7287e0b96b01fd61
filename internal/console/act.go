package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// act is something that a page can have done. It is asked for on a page of its own, which says what would be, and is done when that page's form is sent.
type act struct {
	question func(v *visit) (question, error)
	do       func(v *visit) (done, error)
}

// question is what is asked before something is done.
type question struct {
	Act    string
	Title  string
	Text   string
	Points []string // what would be besides, and warnings
	Button string
	Danger bool
	Fields []field // what the form sends
	Back   string
	Inputs []input // what is asked for besides
}

// input is a text that the visitor gives.
type input struct {
	Name, Label, Value, Placeholder string
	Mode                            string // of its keyboard, on a phone; "" = text
}

type field struct{ Name, Value string }

// done is what was done.
type done struct {
	Notice string
	To     string // the page that follows
}

// acts are all that there are, by the last part of their address.
func acts() map[string]act {
	all := map[string]act{
		"rollback": {askRollback, rollback},
		"start":    {ask("Start an instance of %s?", "The answer comes when it is ready. It then waits for work as any other.", "Start an instance", false), start},
		"scale":    {askScale, scale},
		"redrive":  {askRedrive, redriveDead},
		"discard":  {askDiscard, discardDead},

		"key-pause":     {askKey(true), holdKey(true)},
		"key-resume":    {askKey(false), holdKey(false)},
		"replay-cancel": {askCancelReplay, cancelReplay},
	}
	for verb, text := range map[string]string{
		"pause":   "No more steps are taken; the gates are judged all the same.",
		"resume":  "The step that it is in begins anew.",
		"abort":   "All of the traffic goes back to the old version, now.",
		"promote": "All of the traffic goes to the new version, now and for good.",
	} {
		name := strings.ToUpper(verb[:1]) + verb[1:] + " the roll-out"
		all["rollout-"+verb] = act{ask(name+" of %s?", text, name, verb == "abort" || verb == "promote"), changeRollout(verb)}
	}
	all["trigger-pause"] = act{ask("Pause a trigger of %s?", "No more of its runs start. Events wait in the log, and nothing is lost.", "Pause the trigger", true), holdTrigger(true)}
	all["trigger-resume"] = act{ask("Let a trigger of %s go on?", "It goes on where it stopped.", "Resume the trigger", false), holdTrigger(false)}
	return all
}

func find(v *visit) (act, error) {
	a, ok := acts()[v.r.PathValue("act")]
	if !ok {
		return a, fault.New(fault.NotFound, "the console does not know %q", cut(60, v.r.PathValue("act"))).WithHint("go on from one of its pages")
	}
	return a, nil
}

// ask shows what would be done.
func (c *Console) ask(v *visit) (frame, error) {
	a, err := find(v)
	if err != nil {
		return frame{}, err
	}
	q, err := a.question(v)
	if err != nil {
		return frame{}, err
	}
	q.Act = v.r.PathValue("act")
	return frame{Page: "ask", Title: q.Title, Body: q}, nil
}

// act does it.
func (c *Console) act(v *visit) (frame, error) {
	a, err := find(v)
	if err != nil {
		return frame{}, err
	}
	did, err := a.do(v)
	if err != nil {
		return frame{}, err
	}
	v.session.say(did.Notice)
	http.Redirect(v.w, v.r, did.To, http.StatusSeeOther)
	return frame{}, nil
}

// carried are the fields of the address that the form sends again.
func carried(v *visit, names ...string) []field {
	var all []field
	for _, name := range names {
		for _, value := range v.r.Form[name] {
			if value != "" {
				all = append(all, field{name, value})
			}
		}
	}
	return all
}

// ask is the question of what concerns a function, and perhaps one of its triggers or aliases.
func ask(title, text, button string, danger bool) func(*visit) (question, error) {
	return func(v *visit) (question, error) {
		fn := v.query("function")
		if fn == "" {
			return question{}, errNoFunction()
		}
		named := fn
		for _, part := range []string{v.query("trigger"), v.query("alias")} {
			if part != "" {
				named += ", " + part
			}
		}
		return question{
			Title: fmt.Sprintf(title, named), Text: text, Button: button, Danger: danger,
			Fields: carried(v, "function", "trigger", "alias", "version"), Back: href("functions", fn),
		}, nil
	}
}

func errNoFunction() error {
	return fault.New(fault.Invalid, "no function is named").WithHint("go on from the page of a function")
}

func start(v *visit) (done, error) {
	version := 0
	if text := v.query("version"); text != "" {
		var err error
		if version, err = strconv.Atoi(text); err != nil {
			return done{}, fault.New(fault.Invalid, "version %q is no number", cut(40, text))
		}
	}
	s, err := v.Start(v.r.Context(), v.query("function"), version)
	return done{fmt.Sprintf("An instance of %s version %d is ready.", s.Function, s.Version), href("functions", v.query("function"))}, err
}

func changeRollout(verb string) func(*visit) (done, error) {
	return func(v *visit) (done, error) {
		ctx, fn, alias := v.r.Context(), v.query("function"), v.query("alias")
		var err error
		var r wire.Rollout
		switch verb {
		case "pause":
			r, err = v.PauseRollout(ctx, fn, alias)
		case "resume":
			r, err = v.ResumeRollout(ctx, fn, alias)
		case "abort":
			r, err = v.AbortRollout(ctx, fn, alias)
		case "promote":
			r, err = v.PromoteRollout(ctx, fn, alias)
		}
		is := "is " + string(r.State)
		if r.State == function.RolloutSucceeded {
			is = "has succeeded"
		}
		return done{fmt.Sprintf("The roll-out of %s to version %d %s.", fn, r.To, is), href("functions", fn)}, err
	}
}

func holdTrigger(pause bool) func(*visit) (done, error) {
	return func(v *visit) (done, error) {
		fn, trigger := v.query("function"), v.query("trigger")
		to := href("functions", fn)
		if pause {
			return done{fmt.Sprintf("Trigger %s of %s is paused.", trigger, fn), to}, v.PauseTrigger(v.r.Context(), fn, trigger)
		}
		return done{fmt.Sprintf("Trigger %s of %s goes on.", trigger, fn), to}, v.ResumeTrigger(v.r.Context(), fn, trigger)
	}
}
