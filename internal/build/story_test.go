package build

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/runner"
)

// facts is a log that keeps what it is told.
type facts struct {
	mu   sync.Mutex
	all  []*event.Event
	keys []string
	err  error // of each append; nil = it takes them
}

func (f *facts) Append(_ context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	for _, r := range records {
		e, err := eventlog.ToEvent(r)
		if err != nil || r.Topic != function.TopicBuilds {
			return nil, errors.Join(err, errors.New("no event of builds"))
		}
		f.all, f.keys = append(f.all, e), append(f.keys, string(r.Key))
	}
	return nil, nil
}

func (f *facts) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// told are the events of a type.
func (f *facts) told(t *testing.T, typ string) (all []function.BuildEvent) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.all {
		if e.Type != typ {
			continue
		}
		var b function.BuildEvent
		if err := json.Unmarshal(e.Data, &b); err != nil {
			t.Fatal(err)
		}
		if word, _ := strings.CutSuffix(strings.TrimPrefix(typ, "dalamb.build."), ".v1"); e.ID != b.ID+"."+word || e.Source != "/dalamb/builds" || e.Subject != b.Functions[0] {
			t.Errorf("the event of %s is %+v", b.ID, e)
		}
		all = append(all, b)
	}
	return all
}

// played runs a function in the place of a sandbox.
type played struct {
	exit func(ctx context.Context) runner.Exit
}

func (p *played) Start(ctx context.Context, _ runner.Spec) (runner.Sandbox, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &playing{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.exit = p.exit(ctx)
	}()
	return s, nil
}

type playing struct {
	runner.Sandbox
	stop context.CancelFunc
	done chan struct{}
	exit runner.Exit
}

func (s *playing) Done() <-chan struct{} { return s.done }
func (s *playing) Exit() runner.Exit     { return s.exit }
func (s *playing) Stop(time.Duration)    { s.stop(); <-s.done }

// teller is builds that play, and tell a log.
func teller(t *testing.T, dir string, log *facts, exit func(context.Context) runner.Exit) *Builds {
	t.Helper()
	code, err := image.Open(filepath.Join(dir, "code"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(Options{Dir: filepath.Join(dir, "builds"), Runner: &played{exit}, Code: code, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func exits(code int) func(context.Context) runner.Exit {
	return func(context.Context) runner.Exit { return runner.Exit{Code: code} }
}

// untilStopped is a build that goes on until somebody ends it.
func untilStopped(begun chan<- struct{}) func(context.Context) runner.Exit {
	return func(ctx context.Context) runner.Exit {
		close(begun)
		<-ctx.Done()
		return runner.Exit{Signal: "killed"}
	}
}

func TestABuildIsToldToTheLog(t *testing.T) {
	newer := errors.New("a newer push to the same branch took its place")
	commit := &function.Origin{Kind: function.OriginGit, Repository: "shop", Commit: "0a0b", Branch: "main"}
	for _, c := range []struct {
		name    string
		code    int
		end     error // "" = it ends by itself
		outcome string
		says    string
	}{
		{"succeeds", 0, nil, function.BuildSucceeded, ""},
		{"fails", 7, nil, function.BuildFailed, "the build failed: sh (exit code 7)"},
		{"is superseded", 0, newer, function.BuildCancelled, newer.Error()},
		{"nobody waits", 0, context.Canceled, function.BuildCancelled, "nobody waited for it any longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := &facts{}
			begun := make(chan struct{})
			exit := exits(c.code)
			if c.end != nil {
				exit = untilStopped(begun)
			}
			b := teller(t, t.TempDir(), log, exit)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.end != nil {
				go func() {
					<-begun
					cancel(c.end)
				}()
			}
			dir := source(t, map[string]string{"f": "x"})
			r, err := b.Run(ctx, Request{Dir: dir, Build: shell("x"), Function: "pay", Beside: []string{"bill"}, Scope: "s", Origin: commit})
			if (err == nil) != (c.outcome == function.BuildSucceeded) {
				t.Fatalf("Run = %v", err)
			}
			began, ended := log.told(t, event.TypeBuildStarted), log.told(t, event.TypeBuildFinished)
			if len(began) != 1 || len(ended) != 1 {
				t.Fatalf("the log was told of %d beginnings and %d ends, want one of each", len(began), len(ended))
			}
			if one := began[0]; one.Outcome != function.BuildRunning || one.Builder != function.BuildCommand || one.Origin == nil || *one.Origin != *commit || !slices.Equal(one.Functions, []string{"pay", "bill"}) || !slices.Equal(log.keys, []string{"pay", "pay"}) {
				t.Errorf("the log was told %+v with keys %q of the beginning", one, log.keys)
			}
			one := ended[0]
			if one.ID != began[0].ID || one.Outcome != c.outcome || one.Error != c.says || one.Source == "" || *one.Origin != *commit {
				t.Errorf("the log was told %+v, want outcome %s with %q", one, c.outcome, c.says)
			}
			if c.outcome == function.BuildSucceeded && (one.Code != r.Code || one.ID != r.Built.ID || one.Source != r.Built.Source) {
				t.Errorf("the log was told %+v of what made %+v", one, r)
			}
			if left, err := b.left(); err != nil || left != nil {
				t.Errorf("there is still to tell of %v, %v", left, err)
			}
		})
	}
}

// TestAKilledNodesBuildsAreLost has a node that goes away in the middle of a build, and one after that.
func TestAKilledNodesBuildsAreLost(t *testing.T) {
	dir, log := t.TempDir(), &facts{}
	begun, built := make(chan struct{}), make(chan error)
	killed := teller(t, dir, log, untilStopped(begun))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := killed.Run(ctx, Request{Dir: source(t, map[string]string{"f": "x"}), Build: shell("x"), Function: "pay", Scope: "s"})
		built <- err
	}()
	<-begun
	next := teller(t, dir, log, exits(0)) // it finds what a killed one would leave
	log.fail(errors.New("the log is away"))
	next.tellLeft(t.Context())
	if ended := log.told(t, event.TypeBuildFinished); ended != nil {
		t.Fatalf("a log that takes nothing was told %+v", ended)
	}
	log.fail(nil)
	next.tellLeft(t.Context())
	next.tellLeft(t.Context())
	ended := log.told(t, event.TypeBuildFinished)
	if len(ended) != 1 || ended[0].Outcome != function.BuildLost || ended[0].Functions[0] != "pay" || !strings.Contains(ended[0].Hint, "--id "+ended[0].ID) {
		t.Errorf("the next node told %+v, want one build that is lost", ended)
	}
	cancel()
	if err := <-built; err == nil {
		t.Error("the build succeeded")
	}
}

// TestAnEndThatTheLogDidNotTakeIsToldLater has a log that goes away while a build runs, which succeeds.
func TestAnEndThatTheLogDidNotTakeIsToldLater(t *testing.T) {
	dir, log := t.TempDir(), &facts{}
	away := func(context.Context) runner.Exit {
		log.fail(errors.New("the log is away"))
		return runner.Exit{}
	}
	r, err := teller(t, dir, log, away).Run(t.Context(), Request{Dir: source(t, map[string]string{"f": "x"}), Build: shell("x"), Function: "pay", Scope: "s"})
	if err != nil {
		t.Fatalf("Run = %v; what a log does not take now is told later", err)
	}
	log.fail(nil)
	teller(t, dir, log, exits(0)).tellLeft(t.Context())
	ended := log.told(t, event.TypeBuildFinished)
	if len(ended) != 1 || ended[0].Outcome != function.BuildSucceeded || ended[0].Code != r.Code {
		t.Errorf("the log was told %+v, want that build %s has made %s", ended, r.Built.ID, r.Code)
	}
}

// TestNothingIsBuiltThatTheLogIsNotToldOf refuses before the sandbox is made.
func TestNothingIsBuiltThatTheLogIsNotToldOf(t *testing.T) {
	log := &facts{err: errors.New("the log is away")}
	b := teller(t, t.TempDir(), log, func(context.Context) runner.Exit {
		t.Error("a build began")
		return runner.Exit{}
	})
	_, err := b.Run(t.Context(), Request{Dir: source(t, map[string]string{"f": "x"}), Build: shell("x"), Function: "pay", Scope: "s"})
	if left, lerr := b.left(); err == nil || !errors.Is(err, log.err) || lerr != nil || left != nil {
		t.Errorf("Run = %v, and there is to tell of %v, %v; want the log's error, and nothing", err, left, lerr)
	}
}

func TestALongErrorIsCut(t *testing.T) {
	if got := cut(strings.Repeat("é", maxTold)); len(got) > maxTold+3 || !strings.HasSuffix(got, "é...") {
		t.Errorf("cut = %d bytes that end with %q", len(got), got[len(got)-8:])
	}
}
