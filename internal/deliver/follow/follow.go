// Package follow tells the log of pushed images, and gives the functions that follow a tag a new version of what it names now. It makes
// versions by the way of every deploy (Deployer), and takes no pushes itself: the node's registry and hooks do (Pushed).
//
// A push is a hint to look: what the tag names is asked of its registry, whoever said what. So a push that is told twice, late, or by
// somebody who lies makes no version that the registry does not have; and two pushes of a tag in short order may be one version.
//
// The node that was told acts, since it may be the only one that has the image. What it was told is on its disk until it has acted.
package follow

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/wire"
)

// Push is one push of a tag.
type Push struct {
	ID string    `json:"id"` // of its event
	At time.Time `json:"at"`
	function.ImagePushed
}

// Log takes events.
type Log interface {
	Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error)
}

// Catalog gives views.
type Catalog interface {
	View() *catalog.View
	// CatchUp blocks until the view has all that was decided before the call.
	CatchUp(ctx context.Context) error
}

// Images knows references.
type Images interface {
	// Tag reads a reference by tag.
	Tag(ref string) (tag pull.Tag, ok bool)
	// Digest is that of the image which a reference names now.
	Digest(ctx context.Context, ref string) (string, error)
}

// Deployer makes versions, which api.API does.
type Deployer interface {
	Deploy(ctx context.Context, req wire.DeployRequest) (wire.Deployed, error)
}

// Options of Open. All are required but Now.
type Options struct {
	Dir      string // of what waits to be acted upon
	Log      Log
	Catalog  Catalog
	Images   Images
	Deployer Deployer
	Logger   *slog.Logger
	Now      func() time.Time
}

// Follower acts upon pushes. Safe for concurrent use.
type Follower struct {
	o     Options
	queue *queue

	mu      sync.Mutex
	trouble map[target]error // what came of the newest push for each, where that was no version
}

// target is who follows: an alias of a function.
type target struct{ function, alias string }

// Open opens or makes the directory. What waited in it is acted upon by Run.
func Open(o Options) (*Follower, error) {
	if o.Dir == "" || o.Log == nil || o.Catalog == nil || o.Images == nil || o.Deployer == nil || o.Logger == nil {
		return nil, errors.New("follow needs all of its options")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	q, err := openQueue(o.Dir)
	if err != nil {
		return nil, err
	}
	return &Follower{o: o, queue: q, trouble: map[target]error{}}, nil
}

// Pushed takes note of a push. When it returns nil that is on disk, and Run acts upon it.
// id is that of its event, a UUID.
func (f *Follower) Pushed(id string, p function.ImagePushed) error {
	return f.queue.put(&Push{ID: id, At: f.o.Now().UTC(), ImagePushed: p})
}

// Trouble says why the newest push of its image made no version for an alias of a function; nil = it did, or there was none since the
// node's start.
func (f *Follower) Trouble(fn, alias string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trouble[target{fn, alias}]
}

// unreadable is how long Run waits before it looks again after the disk failed it.
const unreadable = 10 * time.Second

// Run acts upon pushes in their order until ctx is done.
func (f *Follower) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		name, p, err := f.queue.first()
		switch {
		case fault.KindOf(err) == fault.Invalid:
			f.o.Logger.Error("a push is left out", "err", err)
		case err != nil:
			f.o.Logger.Error("look for pushes", "err", err)
			pause(ctx, unreadable)
			continue
		case p == nil:
			select {
			case <-f.queue.more:
			case <-ctx.Done():
			}
			continue
		case !f.act(ctx, p):
			return nil // it goes on after the next start
		}
		if err := f.queue.remove(name); err != nil {
			f.o.Logger.Error("look for pushes", "err", err)
			pause(ctx, unreadable)
		}
	}
	return nil
}

// pause waits, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Followers are the functions that get a version from a push to a repository of the node's own registry, sorted.
func (f *Follower) Followers(repository string) []string {
	var names []string
	for _, fn := range f.o.Catalog.View().Functions() {
		for _, alias := range fn.Aliases {
			v := version(fn, alias.Primary)
			if v == nil || !v.Spec.Follow || v.Image == nil {
				continue
			}
			if tag, ok := f.o.Images.Tag(v.Spec.ImageRef()); ok && tag.Own && tag.Repository == repository {
				names = append(names, fn.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
