package incoming

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Keep acts upon what the hooks of one partition are told until ctx is done.
func (k *Keeper) Keep(ctx context.Context, own eventlog.Owned) error {
	if err := k.o.Catalog.CatchUp(ctx); err != nil {
		return err
	}
	p := &keeper{Keeper: k, own: own, story: newStory(), results: make(chan result)}
	defer func() { p.forget(p.story.order...) }()
	from, err := eventlog.ReadAll(ctx, k.o.Log, own.Partition, p.story.fold)
	if err != nil {
		return err
	}
	err = k.o.Git.DropRemotes(ctx, func(hook string) bool {
		_, err := k.o.Catalog.View().Hook(hook)
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("drop what was fetched for hooks that are no more: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	p.workers = &workers
	for id, d := range p.story.all {
		k.note(id, d.Hook, d.State)
	}
	for _, d := range p.story.waiting() {
		p.begin(ctx, d)
	}
	p.tellAgain(ctx)
	news := make(chan []eventlog.Record)
	failed := make(chan error, 1)
	workers.Go(func() { failed <- p.follow(ctx, from, news) })
	for {
		select {
		case rs := <-news:
			for i := range rs {
				p.take(ctx, &rs[i])
			}
		case r := <-p.results:
			if err := p.commit(ctx, r); err != nil {
				return unlessOver(ctx, err)
			}
		case err := <-failed:
			return unlessOver(ctx, err)
		case <-ctx.Done():
			return nil
		}
	}
}

// unlessOver leaves out what comes of the end itself, and is seen before it.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// keeper is one partition's part. One goroutine owns it, but for follow, and for what workers do.
type keeper struct {
	*Keeper
	own     eventlog.Owned
	story   *story
	workers *sync.WaitGroup
	results chan result
}

// result is what a worker has to say to the log.
type result struct {
	finished *function.HookFinished
	reported *function.HookReported
	hook     string
	done     chan struct{} // closed when it is stored
}

// follow reads what comes.
func (p *keeper) follow(ctx context.Context, from int64, news chan<- []eventlog.Record) error {
	for {
		rs, err := p.o.Log.Read(ctx, p.own.Partition, from, eventlog.ReadOptions{})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", p.own.Topic, p.own.ID, err)
		}
		from = rs[len(rs)-1].Offset + 1
		select {
		case news <- rs:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *keeper) take(ctx context.Context, r *eventlog.Record) {
	d := p.story.take(r)
	if d == nil {
		return
	}
	p.note(d.ID, d.Hook, d.State)
	p.begin(ctx, d)
}

// begin starts to act upon a delivery. Its place in the order of its ref is here and now.
func (p *keeper) begin(ctx context.Context, d *function.HookFinished) {
	over := *d
	over.State, over.Attempts = function.HookFailed, 0
	h, err := p.o.Catalog.View().Hook(d.Hook)
	if err != nil {
		p.o.Logger.Warn("a hook was removed before it was acted upon", "hook", d.Hook, "ref", d.Ref)
		over.Error = err.Error()
		p.end(ctx, over)
		return
	}
	if p.story.repeats(d) {
		over.State = function.HookRepeated
		p.end(ctx, over)
		return
	}
	in := p.o.Git.Announce(p.remote(&h.Hook, d))
	p.workers.Go(func() {
		status := p.reporter(&h.Hook, &over)
		status.begin(ctx)
		err := in.Bring(ctx)
		over.Said, over.Attempts = in.Said(), in.Tries()
		switch {
		case ctx.Err() != nil, errors.Is(err, git.ErrStopping):
			status.wait()
			return // the next owner, or the next start, goes on
		case errors.Is(err, git.ErrSuperseded):
			over.State, over.Error, over.Hint = function.HookSuperseded, err.Error(), fault.HintOf(err)
		case err != nil:
			over.Error, over.Hint = clip(err.Error()), fault.HintOf(err)
			p.o.Logger.Warn("what a hook told of was not delivered", "hook", d.Hook, "ref", d.Ref, "commit", d.After, "err", err)
		default:
			over.State = function.HookDelivered
			over.Functions = functionsOf(in.Functions())
			p.o.Logger.Info("what a hook told of is delivered", "hook", d.Hook, "ref", d.Ref, "commit", d.After, "functions", over.Functions)
		}
		p.say(ctx, result{finished: &over, hook: d.Hook})
		p.report(ctx, status, &over)
	})
}

// end finishes what needs no work.
func (p *keeper) end(ctx context.Context, over function.HookFinished) {
	p.workers.Go(func() { p.say(ctx, result{finished: &over, hook: over.Hook}) })
}

// maxError is in bytes: what is told stands in the log.
const maxError = 16 << 10

func clip(s string) string {
	if len(s) <= maxError {
		return s
	}
	return strings.ToValidUTF8(s[:maxError], "") + "..."
}

func functionsOf(list []git.PushedFunction) []string {
	var names []string
	for _, f := range list {
		names = append(names, fmt.Sprintf("%s version %d (%s)", f.Name, f.Version, f.Alias))
	}
	return names
}

// say gives a result to the owner of the story, and waits until it is stored.
func (p *keeper) say(ctx context.Context, r result) {
	r.done = make(chan struct{})
	select {
	case p.results <- r:
	case <-ctx.Done():
		return
	}
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}

// commit stores a result. Of a failure those are told, too, who listen to the topic of all.
func (p *keeper) commit(ctx context.Context, r result) error {
	var e *event.Event
	var data any
	if r.finished != nil {
		e, data = &event.Event{ID: event.NewID(), Type: event.TypeHookFinished}, r.finished
	} else {
		e, data = &event.Event{ID: event.NewID(), Type: event.TypeHookReported}, r.reported
	}
	first, err := p.record(e, r.hook, data)
	if err != nil {
		return err
	}
	records := []eventlog.Record{first}
	if r.finished != nil && r.finished.State == function.HookFailed {
		failed := *e
		failed.ID, failed.Type = event.NewID(), event.TypeHookFailed
		records = append(records, eventlog.FromEvent(function.TopicEvents, &failed))
	}
	_, err = p.own.Commit(ctx, records)
	if fault.KindOf(err) == fault.NotFound && len(records) > 1 { // who has removed that topic does not want to know
		_, err = p.own.Commit(ctx, records[:1])
	}
	if err != nil {
		return fmt.Errorf("store what came of hook %s: %w", r.hook, err)
	}
	if r.finished != nil {
		p.note(r.finished.ID, r.finished.Hook, r.finished.State)
		p.forget(p.story.finish(*r.finished)...)
	}
	close(r.done)
	return nil
}

// remote is what git is told of a delivery.
func (p *keeper) remote(h *function.Hook, d *function.HookFinished) git.Remote {
	return git.Remote{
		Hook: h.Name, URL: h.URL, Repository: h.Place(), Ref: d.Ref, Before: d.Before, After: d.After, Forced: d.Forced, Pusher: d.Pusher,
		Link: link(h, d.After), ID: d.ID, Access: func() (git.Access, error) { return p.access(h.Name) },
	}
}

// reportFor is how long after it finished a delivery is still worth telling of, after a restart.
const reportFor = time.Hour

// tellAgain tells what came of those deliveries that the last owner may not have told of.
func (p *keeper) tellAgain(ctx context.Context) {
	for _, id := range slices.Clone(p.story.order) {
		over := *p.story.all[id]
		h, err := p.o.Catalog.View().Hook(over.Hook)
		if over.State == function.HookWaiting || over.Attempts == 0 || p.story.told[id] || err != nil || p.o.Now().Sub(over.Received) > reportFor {
			continue
		}
		p.workers.Go(func() { p.report(ctx, p.reporter(&h.Hook, &over), &over) })
	}
}
