package follow

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/wire"
)

// How often what may go better later is tried, and how long the first wait between two tries is; each is twice the one before.
const (
	maxAttempts = 6
	firstWait   = time.Second
)

// act tells the log of a push and makes the versions; false when ctx ended before that.
func (f *Follower) act(ctx context.Context, p *Push) bool {
	for wait := firstWait; ; wait = min(2*wait, time.Minute) {
		err := f.o.Catalog.CatchUp(ctx) // after a start the view is that of the last snapshot
		if err == nil {
			err = f.tell(ctx, p.event(), p.ImagePushed)
		}
		if err == nil {
			break
		}
		f.o.Logger.Warn("tell of a pushed image", "image", p.name(), "err", err)
		if !pause(ctx, wait) {
			return false
		}
	}
	r := round{Follower: f, push: p, done: map[target]bool{}, had: map[target]string{}}
	for wait := firstWait; ; wait *= 2 {
		r.attempt++
		again := r.run(ctx)
		if ctx.Err() != nil {
			return false
		}
		if !again {
			return true
		}
		if !pause(ctx, wait) {
			return false
		}
	}
}

// round is what becomes of one push.
type round struct {
	*Follower
	push    *Push
	attempt int
	done    map[target]bool
	had     map[target]string // digest of the newest version of the same reference, before this push made any
}

// run makes a version for each who follows and has none yet, and says whether to try again.
func (r *round) run(ctx context.Context) (again bool) {
	wanting := r.wanting()
	for _, t := range slices.SortedFunc(maps.Keys(wanting), inOrder) {
		version := wanting[t]
		made, err := r.deploy(ctx, t, version)
		switch {
		case ctx.Err() != nil:
			return true
		case err == nil:
			r.note(t, nil)
			if made != nil {
				r.o.Logger.Info("a function follows its image", "function", t.function, "alias", t.alias, "version", made.Version, "image", version.Image.Reference)
			}
		case retry(err) && r.attempt < maxAttempts:
			again = true
			continue
		default:
			r.note(t, err)
			r.fail(ctx, t, version, err)
		}
		r.done[t] = true
	}
	return again
}

// wanting are those who follow the pushed tag and have not got what came of it, with the version that each runs.
func (r *round) wanting() map[target]*function.Version {
	all := map[target]*function.Version{}
	for _, f := range r.o.Catalog.View().Functions() {
		for _, alias := range f.Aliases {
			t := target{f.Name, alias.Name}
			v := version(f, alias.Primary)
			if r.done[t] || v == nil || !v.Spec.Follow || v.Image == nil {
				continue
			}
			tag, ok := r.o.Images.Tag(v.Spec.ImageRef())
			if !ok || tag != (pull.Tag{Own: r.push.Registry == pull.OwnHost, Repository: r.push.Repository, Tag: r.push.Tag}) {
				continue
			}
			all[t] = v
			if _, ok := r.had[t]; !ok {
				r.had[t] = newest(f, v.Spec.ImageRef())
			}
		}
	}
	return all
}

// inOrder has live before the other aliases of a function.
func inOrder(a, b target) int {
	rank := func(t target) string {
		if t.alias == function.LiveAlias {
			return t.function
		}
		return t.function + " " + t.alias
	}
	if rank(a) < rank(b) {
		return -1
	}
	return 1
}

func version(f *catalog.Function, number int) *function.Version {
	for _, v := range f.Versions {
		if v.Number == number {
			return v
		}
	}
	return nil
}

// newest is the digest that the newest version of a reference has: what the tag named when it was looked at last. An alias may have been
// put back to an older version since, and stays there until the tag moves.
func newest(f *catalog.Function, ref string) string {
	for _, v := range slices.Backward(f.Versions) {
		if v.Image != nil && v.Spec.ImageRef() == ref {
			return v.Image.Digest
		}
	}
	return ""
}

// deploy makes a version of what the tag names now; nil when that is no other image.
func (r *round) deploy(ctx context.Context, t target, v *function.Version) (*wire.Deployed, error) {
	ref := v.Spec.ImageRef()
	digest, err := r.o.Images.Digest(ctx, ref)
	if err != nil || digest == r.had[t] {
		return nil, err
	}
	made, err := r.o.Deployer.Deploy(access.With(ctx, access.Acting("images")), wire.DeployRequest{
		Spec: v.Declared(), Code: v.Code, Alias: t.alias,
		Origin: &function.Origin{Kind: function.OriginImage, Repository: ref, Pusher: r.push.Pusher},
	})
	if err != nil {
		return nil, err
	}
	return &made, nil
}

// retry says whether it may go better by itself: a registry works again, another deploy was faster.
func retry(err error) bool {
	return fault.Retryable(err) || fault.KindOf(err) == fault.Conflict
}

func (f *Follower) note(t target, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.trouble, t)
	} else {
		f.trouble[t] = err
	}
}

// fail tells the log that a push made no version.
func (r *round) fail(ctx context.Context, t target, v *function.Version, why error) {
	r.o.Logger.Warn("a function cannot follow its image", "function", t.function, "alias", t.alias, "version", v.Number, "image", v.Spec.ImageRef(), "err", why)
	e := &event.Event{ID: event.NewID(), Type: event.TypeFollowFailed, Subject: t.function, Extensions: map[string]any{event.ExtPartitionKey: t.function}}
	err := r.tell(ctx, e, function.FollowFailed{
		Function: t.function, Alias: t.alias, Image: v.Spec.ImageRef(), Pushed: r.push.At, Error: why.Error(), Hint: fault.HintOf(why),
		CauseID: r.push.ID, Attempts: r.attempt, Unchanged: v.Number,
	})
	if err != nil {
		r.o.Logger.Warn("tell that a function cannot follow its image", "function", t.function, "err", err)
	}
}

// name is what was pushed, as a person writes it.
func (p *Push) name() string { return p.Repository + ":" + p.Tag }

// event is the same however often it is told.
func (p *Push) event() *event.Event {
	return &event.Event{
		ID: p.ID, Type: event.TypeImagePushed, Subject: p.name(), Time: p.At, Extensions: map[string]any{event.ExtPartitionKey: p.Repository},
	}
}

// source is that of the events of this room.
const source = "/dalamb/images"

// tell appends an event to the topic that everybody has. Who has removed that topic does not want to know.
func (f *Follower) tell(ctx context.Context, e *event.Event, data any) error {
	var err error
	if e.Data, err = json.Marshal(data); err != nil {
		return fmt.Errorf("encode %s: %w", e.Type, err)
	}
	e.Source, e.DataContentType = source, "application/json"
	if e.Time.IsZero() {
		e.Time = f.o.Now().UTC()
	}
	_, err = f.o.Log.Append(ctx, []eventlog.Record{eventlog.FromEvent(function.TopicEvents, e)})
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}
