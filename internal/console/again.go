package console

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

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

// timed are fields with the times that a redrive asks for: 14:05 and 1h would mean other times by when somebody has confirmed it.
func timed(fields []field, r *wire.Redrive) []field {
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Name == "since" && !r.After.IsZero():
			f.Value = r.After.UTC().Format(time.RFC3339)
		case f.Name == "before" && !r.Before.IsZero():
			f.Value = r.Before.UTC().Format(time.RFC3339)
		}
	}
	return fields
}

// deadList is the list of dead letters that somebody came from, as it was searched.
func deadList(v *visit) string {
	return href("dead", "?", "function", v.query("function"), "trigger", v.query("trigger"), "error", v.query("error"), "pattern", v.query("pattern"), "since", v.query("since"), "before", v.query("before"))
}

func askRedrive(v *visit) (question, error) {
	r, err := redriveOf(v)
	if err != nil {
		return question{}, err
	}
	q := question{
		Title: "Redrive the dead letters that fit?", Text: "Each runs again for its own trigger alone, by the version that live points at now.",
		Button: "Redrive", Fields: timed(carried(v, redriveFields()...), &r), Back: deadList(v),
		Inputs: []input{{Name: "rate", Label: "Runs a second, at most", Placeholder: "no bound", Mode: "decimal"}},
	}
	switch n := len(r.IDs); {
	case n == 1:
		q.Title, q.Inputs = "Redrive this dead letter?", nil
	case n > 1:
		q.Title = fmt.Sprintf("Redrive %s?", letters(n))
	case r.All:
		q.Title, q.Danger = "Redrive all dead letters?", true
	}
	for _, f := range q.Fields {
		if len(r.IDs) == 0 {
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
	return done{letters(s.Selected) + " to run again.", href("redrives", s.Job, "?", "of", s.Selected)}, err
}

func askDiscard(v *visit) (question, error) {
	n := len(marked(v))
	if n == 0 {
		return question{}, errNoneMarked()
	}
	return question{
		Title: fmt.Sprintf("Give up %s for good?", letters(n)), Text: "They cannot be run again after that. Their runs stay in the history.",
		Button: "Discard", Danger: true, Fields: carried(v, redriveFields()...), Back: deadList(v),
		Inputs: []input{{Name: "reason", Label: "Reason", Placeholder: "for who looks at it later"}},
	}, nil
}

func discardDead(v *visit) (done, error) {
	ids := marked(v)
	if len(ids) == 0 {
		return done{}, errNoneMarked()
	}
	n, err := v.Discard(v.r.Context(), wire.Discard{IDs: ids, Reason: v.query("reason")})
	return done{letters(n) + " given up.", deadList(v)}, err
}
