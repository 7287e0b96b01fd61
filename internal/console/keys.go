package console

import (
	"fmt"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// keysPage says which keys of a trigger do not run: those that somebody has paused, and those whose oldest event is tried again, behind which the others of
// the key wait.
type keysPage struct {
	wire.KeyList
	Behind   []function.Run // runs that are tried again, of events with a key
	More     bool           // there are more of them
	Problems []string
}

func (c *Console) keys(v *visit) (frame, error) {
	fn, trigger, ctx := v.r.PathValue("function"), v.r.PathValue("trigger"), v.r.Context()
	list, err := v.Keys(ctx, fn, trigger)
	if err != nil {
		return frame{}, err
	}
	p := keysPage{KeyList: list}
	all := together{}
	all.ask("runs", func() error {
		page, err := v.Client.Runs(ctx, client.RunQuery{Function: fn, Trigger: trigger, State: function.RunRetrying, Limit: maxRows})
		p.More = page.Next != ""
		for _, r := range page.Runs {
			if r.Event.Key != "" {
				p.Behind = append(p.Behind, r)
			}
		}
		return err
	})
	if p.Problems, err = all.wait(); err != nil {
		return frame{}, err
	}
	p.Paused = first(p.Paused)
	return frame{Page: "keys", Title: "Keys of " + fn + " / " + trigger, Nav: "functions", Live: true, Body: p}, nil
}

// askKey is the question of one key of a trigger.
func askKey(pause bool) func(*visit) (question, error) {
	return func(v *visit) (question, error) {
		fn, trigger, key := v.query("function"), v.query("trigger"), keyOf(v)
		if fn == "" || trigger == "" {
			return question{}, errNoFunction()
		}
		q := question{
			Title: fmt.Sprintf("Let the key %q of %s, %s go on?", cut(80, key), fn, trigger), Text: "Its events run from where they stopped.", Button: "Resume the key",
			Fields: []field{{"function", fn}, {"trigger", trigger}, {"key", key}}, Back: href("functions", fn, "keys", trigger),
		}
		if pause {
			q.Title = fmt.Sprintf("Pause the key %q of %s, %s?", cut(80, key), fn, trigger)
			q.Text, q.Button, q.Danger = "No more of its runs start. Its events wait in the log, those of other keys run.", "Pause the key", true
		}
		return q, nil
	}
}

func holdKey(pause bool) func(*visit) (done, error) {
	return func(v *visit) (done, error) {
		fn, trigger, key := v.query("function"), v.query("trigger"), keyOf(v)
		to := href("functions", fn, "keys", trigger)
		if pause {
			_, err := v.PauseKey(v.r.Context(), fn, trigger, key)
			return done{fmt.Sprintf("The key %q is paused.", cut(80, key)), to}, err
		}
		_, err := v.ResumeKey(v.r.Context(), fn, trigger, key)
		return done{fmt.Sprintf("The key %q goes on.", cut(80, key)), to}, err
	}
}

// keyOf is the key as it was sent: a space at its end is a part of it.
func keyOf(v *visit) string { return v.r.FormValue("key") }
