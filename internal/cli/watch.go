package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/watch"
	"github.com/dalamb/dalamb/internal/wire"
)

// How the loop waits.
const (
	secondLook = 150 * time.Millisecond // for the change that an error came before
	nodeGlance = 500 * time.Millisecond // for a node that went away
)

// loop deploys again whenever a file changes, and shows what the functions write. What is wrong is said and does not end it.
type loop struct {
	deployment
	env      *environment
	out, err io.Writer

	watcher *watch.Watcher
	set     watch.Set
	told    bool             // that the first deploy is done
	away    bool             // no node answers
	lost    chan struct{}    // told by those who follow logs: their stream broke
	logs    map[string]bool  // functions that are followed
	warned  map[warning]bool // what was said already
	tasks   sync.WaitGroup

	mu sync.Mutex // guards out, err, and logs, which run alone changes
}

// warning is what a deploy had to say of a function.
type warning struct{ function, text string }

// watchAndDeploy is deploy --watch.
func watchAndDeploy(c *cobra.Command, env *environment, d deployment, out *output) error {
	if asJSON, _ := out.json(); asJSON { // the flag was checked before
		return fault.New(fault.Invalid, "--watch is for people: it has no JSON").WithHint("dalamb logs NAME -f -o json follows what a function writes")
	}
	ctx, stop := follow(c, true)
	defer stop()
	l := &loop{deployment: d, env: env, out: c.OutOrStdout(), err: c.ErrOrStderr()}
	return l.run(ctx)
}

// run ends with ctx, with what makes watching impossible, or when there is no manifest to begin with.
func (l *loop) run(ctx context.Context) (err error) {
	for _, path := range l.paths {
		if _, _, err := readManifest(path); errors.Is(err, fs.ErrNotExist) {
			return err // and never was: no word of it may be right
		}
	}
	if l.watcher, err = watch.New(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.watcher.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer l.tasks.Wait()
	defer stop()
	l.lost, l.logs = make(chan struct{}, 1), map[string]bool{}
	l.warned = map[warning]bool{}
	for _, path := range l.paths {
		l.set.Files = append(l.set.Files, manifestFile(path))
	}
	var changed []string
	for {
		began := time.Now()
		r, failed := l.renew()
		if err := l.watcher.Watch(l.set); err != nil {
			return err
		}
		round, over := context.WithCancel(ctx)
		if failed == nil {
			failed = l.deploy(ctx, r, func(done []wire.Deployed) {
				l.tell(round, report{done, changed, time.Since(began)})
			})
		}
		changed, err = l.next(ctx, failed)
		over()
		if err != nil {
			return ended(ctx, true, err)
		}
	}
}

// renew reads the manifests and notes what belongs to them. While one is wrong, what belonged to the last right ones is watched.
func (l *loop) renew() (release, error) {
	r, err := readManifests(l.paths)
	if err != nil {
		return nil, err
	}
	l.set = watch.Set{}
	for _, s := range r {
		one := watched(s.manifest, s.file)
		l.set.Files, l.set.Trees = append(l.set.Files, one.Files...), append(l.set.Trees, one.Trees...)
	}
	return r, nil
}

// deploy deploys what is there now. Without a strategy that was asked for nothing is rolled out: the next change would overtake it.
func (l *loop) deploy(ctx context.Context, r release, done func([]wire.Deployed)) error {
	for _, s := range r {
		for i := range s.manifest.Functions {
			s.manifest.Functions[i].Spec.Rollout = nil
		}
	}
	if err := r.prepare(l.env, l.strategy); err != nil {
		return err
	}
	if err := l.follow(ctx, r.specs()); err != nil {
		return err
	}
	_, made, err := l.send(ctx, l.env, r, spoken{l})
	if err == nil {
		done(made)
	}
	return err
}

// watched are the files that a deploy of a manifest reads.
func watched(m *function.Manifest, file string) watch.Set {
	dir := filepath.Dir(file)
	s := watch.Set{Files: []string{file}}
	for _, d := range m.Functions {
		if ref := d.Spec.ImageRef(); function.LocalImage(ref) {
			s.Files = append(s.Files, filepath.Join(dir, ref))
			s.Trees = append(s.Trees, watch.Tree{Dir: filepath.Join(dir, ref)}) // it is the one or the other
		}
		if d.CodePath == "" {
			continue
		}
		code := filepath.Join(dir, d.CodePath)
		ignored, _ := image.Ignored(code) // to pack it says what is wrong
		s.Files = append(s.Files, filepath.Join(code, image.IgnoreFile))
		s.Trees = append(s.Trees, watch.Tree{Dir: code, Ignored: ignored})
	}
	return s
}

// next waits for the next change. What failed is told first, unless it failed in the middle of changes that go on.
func (l *loop) next(ctx context.Context, failed error) ([]string, error) {
	if failed != nil {
		changed, err := l.wait(ctx, secondLook)
		if err != nil || changed != nil {
			return changed, err
		}
		was := l.away
		l.complain(ctx, failed)
		if was || l.away {
			return l.wait(ctx, nodeGlance)
		}
	}
	return l.wait(ctx, 0)
}

// wait returns what has changed, or nothing: after atMost where that is not 0, or when a node went away.
func (l *loop) wait(ctx context.Context, atMost time.Duration) ([]string, error) {
	idle, cancel := context.WithCancel(ctx)
	defer cancel()
	if atMost > 0 {
		idle, cancel = context.WithTimeout(idle, atMost)
		defer cancel()
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		select {
		case <-l.lost:
			cancel()
		case <-idle.Done():
		}
	})
	changed, err := l.watcher.Next(idle)
	if err != nil && idle.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	cancel()
	return changed, err
}

// complain says what failed. That no node answers is said once, and so is that one is back, which may be before a deploy that found none ends.
func (l *loop) complain(ctx context.Context, failed error) {
	gone := fault.KindOf(failed) == fault.Unavailable && !l.answers(ctx)
	if ctx.Err() != nil {
		return
	}
	l.say(func() {
		switch {
		case l.away && !gone:
			fmt.Fprintln(l.err, backAgain)
		case !l.away:
			complain(l.err, failed)
			if gone {
				fmt.Fprintln(l.err, "it goes on when the node is back")
			}
		}
	})
	l.away = gone
}

const backAgain = "the node is back"

// answers says whether there is a node.
func (l *loop) answers(ctx context.Context) bool {
	node, err := l.env.client()
	if err == nil {
		_, err = node.Node(ctx)
	}
	return err == nil
}

// report is what a round has to tell.
type report struct {
	done    []wire.Deployed
	changed []string
	took    time.Duration
}

// tell says what became of a round, and looks whether the new versions start, until ctx ends with the round.
func (l *loop) tell(ctx context.Context, r report) {
	l.say(func() {
		if l.away {
			fmt.Fprintln(l.err, backAgain)
		}
		if !l.told {
			printDeployed(l.out, r.done)
			fmt.Fprintf(l.err, "watching %d directories; Ctrl-C ends\n", l.watcher.Dirs())
			return
		}
		var made []wire.Deployed
		for _, d := range r.done {
			if d.Created || d.Moved {
				d.Warnings = slices.DeleteFunc(slices.Clone(d.Warnings), func(w string) bool { return l.warned[warning{d.Function, w}] })
				made = append(made, d)
			}
		}
		if made != nil {
			fmt.Fprintf(l.out, "%s changed; deployed in %s\n", l.names(r.changed), took(function.Duration(r.took)))
			printDeployed(l.out, made)
		}
	})
	l.away, l.told = false, true
	for _, d := range r.done {
		for _, w := range d.Warnings {
			l.warned[warning{d.Function, w}] = true
		}
		l.tasks.Go(func() { l.start(ctx, d) })
	}
}

// names are changed files as they are called from here; of those that are gone only where there are no others: an editor's may have been.
func (l *loop) names(changed []string) string {
	here, err := filepath.Abs(".")
	var there, gone []string
	for _, path := range changed {
		name := path
		if below, relErr := filepath.Rel(here, path); err == nil && relErr == nil && filepath.IsLocal(below) {
			name = below
		}
		if _, err := os.Lstat(path); err == nil {
			there = append(there, clean(name))
		} else {
			gone = append(gone, clean(name))
		}
	}
	if there == nil {
		there = gone
	}
	return names(there)
}

// start says why a version does not start: else only its next call would tell.
func (l *loop) start(ctx context.Context, d wire.Deployed) {
	node, err := l.env.client()
	if err == nil {
		_, err = node.Start(ctx, d.Function, d.Version)
	}
	if err != nil && ctx.Err() == nil && (fault.KindOf(err) != fault.Unavailable || l.answers(ctx)) {
		l.say(func() { complain(l.err, err) })
	}
}

// follow shows what functions write, those that are not followed yet: from now on.
func (l *loop) follow(ctx context.Context, functions []function.Spec) error {
	for _, f := range functions {
		name := f.Name
		if l.logs[name] {
			continue
		}
		node, err := l.env.client()
		if err != nil {
			return err
		}
		var last time.Time
		for line, err := range node.Logs(ctx, client.LogQuery{Function: name, Limit: 1}) {
			if err != nil && fault.KindOf(err) != fault.NotFound { // it is about to be
				return err
			}
			last = line.Time
		}
		l.say(func() { l.logs[name] = true }) // the width of lines hangs on it
		l.tasks.Go(func() { l.show(ctx, name, last) })
	}
	return nil
}

// show writes the lines of a function's log that are newer than last, whatever becomes of the node.
func (l *loop) show(ctx context.Context, name string, last time.Time) {
	tick := time.NewTicker(nodeGlance)
	defer tick.Stop()
	for ctx.Err() == nil {
		node, err := l.env.client()
		if err == nil {
			for line, broken := range node.Logs(ctx, client.LogQuery{Function: name, Follow: true}) {
				if err = broken; err != nil {
					break
				}
				if line.Time.After(last) {
					last = line.Time
					l.say(func() { l.write(&line) })
				}
			}
		}
		if fault.KindOf(err) != fault.NotFound { // which it is until it is deployed, or when it was removed
			select {
			case l.lost <- struct{}{}:
			default: // it is told already
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (l *loop) write(line *function.LogLine) {
	if line.Dropped > 0 {
		fmt.Fprintf(l.out, "... %d lines were dropped: too many at once\n", line.Dropped)
	}
	whose := ""
	if len(l.logs) > 1 {
		whose = line.Function + "  "
	}
	fmt.Fprintf(l.out, "%s  %sv%d  %-6s  %s\n", stamp(line.Time), whose, line.Version, line.Stream, clean(line.Text))
}

// spoken is where a deploy says what it does.
type spoken struct{ *loop }

func (s spoken) Write(text []byte) (n int, err error) {
	s.say(func() { n, err = s.err.Write(text) })
	return n, err
}

func (l *loop) say(words func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	words()
}
