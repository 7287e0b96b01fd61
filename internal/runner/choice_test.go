package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

// fake is a runner that says what was asked of it.
type fake struct {
	name string
	said *[]string
	err  error // of Check
}

var errStarted = errors.New("started")

func (f *fake) say(what string) { *f.said = append(*f.said, f.name+" "+what) }

func (f *fake) Name() string { return f.name }
func (f *fake) Check(context.Context) (runner.Ability, error) {
	f.say("check")
	return runner.Ability{Isolated: true}, f.err
}
func (f *fake) Recover(context.Context) (int, error) { f.say("recover"); return 1, nil }
func (f *fake) Start(context.Context, runner.Spec) (runner.Sandbox, error) {
	f.say("start")
	return nil, errStarted
}
func (f *fake) Close() error { f.say("close"); return nil }

// choose makes a Choice of three runners, whose own is a and of which broken cannot be had until *mended.
func choose(left ...string) (c *runner.Choice, said *[]string, mended *bool) {
	said, mended = new([]string), new(bool)
	c = runner.NewChoice(&fake{name: "a", said: said}, runner.ChoiceOptions{
		Names: []string{"a", "b", "broken"},
		Open: func(name string) (runner.Runner, error) {
			f := &fake{name: name, said: said}
			if name == "broken" && !*mended {
				f.err = fault.New(fault.Unavailable, "not here").WithHint("mend it")
			}
			return f, nil
		},
		Left: func(name string) bool { return slices.Contains(left, name) },
	})
	return c, said, mended
}

func TestEachSpecGetsTheRunnerThatItNames(t *testing.T) {
	c, said, mended := choose()
	for _, name := range []string{"", "a", "b", "b"} {
		if _, err := c.Start(t.Context(), runner.Spec{Runner: name}); !errors.Is(err, errStarted) {
			t.Errorf("Start on %q = %v", name, err)
		}
	}
	if _, err := c.Start(t.Context(), runner.Spec{Runner: "c"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Start on one that nobody knows = %v, want invalid", err)
	}
	if _, err := c.Start(t.Context(), runner.Spec{Runner: "broken"}); fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
		t.Errorf("Start on one that cannot be had = %v, want unavailable with a hint", err)
	}
	*mended = true
	if a, err := c.Ability(t.Context(), "broken"); err != nil || !a.Isolated {
		t.Errorf("Ability of one that was mended = %+v, %v", a, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	want := "a start,a start,b check,b start,b start,broken check,broken close,broken check,a close,b close,broken close"
	if got := strings.Join(*said, ","); got != want {
		t.Errorf("they were asked %s, want %s", got, want)
	}
}

func TestWhatEarlierNodesUsedIsRecovered(t *testing.T) {
	c, said, _ := choose("broken")
	if n, err := c.Recover(t.Context()); n != 2 || err != nil {
		t.Errorf("Recover = %d, %v, want 2", n, err)
	}
	if got, want := strings.Join(*said, ","), "a recover,broken recover,broken close"; got != want {
		t.Errorf("they were asked %s, want %s", got, want)
	}
}

func TestWaitingForARunnerEndsWithTheContext(t *testing.T) {
	opening, open := make(chan struct{}), make(chan struct{})
	said := new([]string)
	c := runner.NewChoice(&fake{name: "a", said: said}, runner.ChoiceOptions{
		Names: []string{"b"},
		Open: func(name string) (runner.Runner, error) {
			close(opening)
			<-open
			return &fake{name: name, said: said}, nil
		},
	})
	first := make(chan error)
	go func() {
		_, err := c.Ability(t.Context(), "b")
		first <- err
	}()
	<-opening
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Ability(ctx, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("Ability while another opens it = %v, want canceled", err)
	}
	close(open)
	if err := <-first; err != nil {
		t.Errorf("Ability = %v", err)
	}
}
