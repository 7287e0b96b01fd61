package console

import (
	"fmt"
	"strconv"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

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
	if r.To != 0 { // a version was chosen, which may be a newer one
		q.Title, q.Button = fmt.Sprintf("Make %s of %s live?", sharesOf(would.To), fn), "Make it live"
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
