package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/dalamb/dalamb/internal/fault"
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
	Asks   string // the name of a text that is asked for; "" = none is
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
		"redrive":  {askRedrive, redriveDead},
		"discard":  {askDiscard, discardDead},
	}
	for verb, text := range map[string]string{
		"pause":   "No more steps are taken; the gates are judged all the same.",
		"resume":  "The step that it is in begins anew.",
		"abort":   "All of the traffic goes back to the old version, now.",
		"promote": "All of the traffic goes to the new version, now and for good.",
	} {
		all["rollout-"+verb] = act{ask("The roll-out of %s: "+verb+"?", text, verb+" the roll-out", verb == "abort" || verb == "promote"), changeRollout(verb)}
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
		return done{fmt.Sprintf("The roll-out of %s to version %d is %s.", fn, r.To, r.State), href("functions", fn)}, err
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

// askRollback says what a roll-back would change, as the API tells it, and holds it to that.
func askRollback(v *visit) (question, error) {
	fn := v.query("function")
	if fn == "" {
		return question{}, errNoFunction()
	}
	r, err := rollbackOf(v)
	if err != nil {
		return question{}, err
	}
	r.DryRun = true
	would, err := v.Rollback(v.r.Context(), fn, r)
	if err != nil {
		return question{}, err
	}
	q := question{
		Title: fmt.Sprintf("Roll %s back to %s?", fn, sharesOf(would.To)),
		Text:  fmt.Sprintf("Alias %s is at %s.", would.Alias, sharesOf(would.From)), Button: "Roll back", Danger: true,
		Fields: append(carried(v, "function", "alias", "to"), field{"expects", strconv.FormatInt(would.Expects, 10)}), Back: href("functions", fn),
	}
	for _, name := range would.Added {
		q.Points = append(q.Points, "trigger "+name+" comes")
	}
	for _, t := range would.Removed {
		q.Points = append(q.Points, fmt.Sprintf("trigger %s goes, and %d events that it has not finished are discarded", t.Trigger, t.Waiting))
	}
	q.Points = append(q.Points, would.Warnings...)
	return q, nil
}

func rollbackOf(v *visit) (r wire.RollbackRequest, err error) {
	r.Alias = v.query("alias")
	if text := v.query("to"); text != "" {
		if r.To, err = strconv.Atoi(text); err != nil {
			return r, fault.New(fault.Invalid, "version %q is no number", cut(40, text))
		}
	}
	if text := v.query("expects"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return r, fault.New(fault.Invalid, "expects: %q is no offset", cut(40, text))
		}
		r.Expects = &n
	}
	return r, nil
}

func rollback(v *visit) (done, error) {
	fn := v.query("function")
	r, err := rollbackOf(v)
	if err != nil {
		return done{}, err
	}
	did, err := v.Rollback(v.r.Context(), fn, r)
	return done{fmt.Sprintf("Alias %s of %s is at %s.", did.Alias, fn, sharesOf(did.To)), href("functions", fn)}, err
}

func sharesOf(shares []wire.Share) string {
	text := ""
	for i, s := range shares {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("version %d", s.Version)
		if s.Percent != nil && *s.Percent != 100 {
			text += fmt.Sprintf(" %d%%", *s.Percent)
		}
	}
	return text
}

// redriveOf is which dead letters are meant: those that were marked, else those that fit all that is named.
func redriveOf(v *visit) (wire.Redrive, error) {
	r := wire.Redrive{IDs: marked(v)}
	if len(r.IDs) > 0 {
		return r, nil
	}
	if v.query("marked") != "" {
		return r, errNoneMarked()
	}
	r.Function, r.Trigger, r.Error = v.query("function"), v.query("trigger"), v.query("error")
	if text := v.query("pattern"); text != "" {
		r.Pattern = []byte(text)
	}
	var err error
	if r.After, r.Before, err = stretch(v, v.query("since"), v.query("before")); err != nil {
		return r, err
	}
	if text := v.query("rate"); text != "" {
		if r.Rate, err = strconv.ParseFloat(text, 64); err != nil || r.Rate <= 0 {
			return r, fault.New(fault.Invalid, "rate: %q is no number of runs a second", cut(40, text)).WithHint("such as 10; leave it empty for no bound")
		}
	}
	r.All = r.Function+r.Trigger+r.Error == "" && r.Pattern == nil && r.After.IsZero() && r.Before.IsZero()
	return r, nil
}

// marked are the dead letters that somebody has marked in a list, or is on the page of.
func marked(v *visit) []string {
	return slices.DeleteFunc(slices.Clone(v.r.Form["run"]), func(id string) bool { return id == "" })
}

func errNoneMarked() error {
	return fault.New(fault.Invalid, "no dead letter is marked").WithHint("go back and mark those that you mean")
}

func letters(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return strconv.Itoa(n) + " dead letters"
}

// redriveFields are those that say which dead letters are meant.
func redriveFields() []string {
	return []string{"run", "function", "trigger", "error", "pattern", "since", "before"}
}

func askRedrive(v *visit) (question, error) {
	r, err := redriveOf(v)
	if err != nil {
		return question{}, err
	}
	q := question{
		Title: "Redrive the dead letters that fit?", Text: "Each runs again for its own trigger alone, by the version that live points at now.",
		Button: "Redrive", Fields: carried(v, redriveFields()...), Back: "/dead", Asks: "rate",
	}
	switch n := len(r.IDs); {
	case n == 1:
		q.Title, q.Asks = "Redrive this dead letter?", ""
	case n > 1:
		q.Title = fmt.Sprintf("Redrive %s?", letters(n))
	case r.All:
		q.Title, q.Danger = "Redrive all dead letters?", true
	}
	for _, f := range q.Fields {
		if f.Name != "run" {
			q.Points = append(q.Points, f.Name+": "+cut(200, f.Value))
		}
	}
	return q, nil
}

func redriveDead(v *visit) (done, error) {
	r, err := redriveOf(v)
	if err != nil {
		return done{}, err
	}
	s, err := v.Redrive(v.r.Context(), r)
	return done{letters(s.Selected) + " to run again.", href("redrives", s.Job)}, err
}

func askDiscard(v *visit) (question, error) {
	n := len(marked(v))
	if n == 0 {
		return question{}, errNoneMarked()
	}
	return question{
		Title: fmt.Sprintf("Give up %s for good?", letters(n)), Text: "They cannot be run again after that. Their runs stay in the history.",
		Button: "Discard", Danger: true, Fields: carried(v, "run"), Back: "/dead", Asks: "reason",
	}, nil
}

func discardDead(v *visit) (done, error) {
	ids := marked(v)
	if len(ids) == 0 {
		return done{}, errNoneMarked()
	}
	n, err := v.Discard(v.r.Context(), wire.Discard{IDs: ids, Reason: v.query("reason")})
	return done{letters(n) + " given up.", "/dead"}, err
}
