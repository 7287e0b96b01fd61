// Package incoming acts upon what hooks of git servers were told: it has each commit brought and delivered as a push would be, and tells the
// server what came of it. It does not take requests (source/hook does) and does not know what a deploy is (deliver/git does).
//
// What was told is an event in _dalamb.hooks before the sender gets his answer. The owner of its partition acts; what came of it is an
// event there too, so a node that is killed in between leaves it to be done by the next owner. To do it twice is harmless: a commit that is
// there is not made again.
package incoming

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Catalog is what incoming needs of the catalog.
type Catalog interface {
	View() *catalog.View
	// CatchUp blocks until the view has all that was decided before the call.
	CatchUp(ctx context.Context) error
}

// Git is what incoming needs of the git server.
type Git interface {
	// Announce gives what was told its place in the order of its ref.
	Announce(r git.Remote) Bringer
	// Branches asks a server for the branches of a repository.
	Branches(ctx context.Context, address, place string, a git.Access) ([]string, error)
	// DropRemotes removes what is kept of hooks that are no more.
	DropRemotes(ctx context.Context, keep func(hook string) bool) error
}

// Bringer brings what was announced, as git.Incoming does.
type Bringer interface {
	Bring(ctx context.Context) error
	// These are valid after Bring.
	Said() []string
	Functions() []git.PushedFunction
	Tries() int
}

// Options of New. Log, Catalog, Git and Secret are required.
type Options struct {
	Log     eventlog.Log
	Catalog Catalog
	Git     Git
	Secret  func(name string) ([]byte, error) // the value of one
	Client  *http.Client                      // to tell what came of a commit; nil = one that follows no redirects and reaches no address of the cloud
	Wait    time.Duration                     // between the first two tries to tell it; 0 = a second
	Logger  *slog.Logger
	Now     func() time.Time
}

// Keeper acts upon what hooks were told. It is a dispatch.Duty. Safe for concurrent use.
type Keeper struct {
	o Options

	mu      sync.Mutex
	known   map[string]known // by id, what stands in the partitions that this node owns
	storing map[string]int   // by hook, what is on its way into the log
}

// New checks the options.
func New(o Options) (*Keeper, error) {
	if o.Log == nil || o.Catalog == nil || o.Git == nil || o.Secret == nil {
		return nil, errors.New("incoming needs a log, a catalog, a git server and secrets")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == 0 {
		o.Wait = firstWait
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	return &Keeper{o: o, known: map[string]known{}, storing: map[string]int{}}, nil
}

// Topic is whose partitions share out the hooks, by name.
func (k *Keeper) Topic() string { return function.TopicHooks }

// Bounds of the deliveries that wait: who may tell by one hook fills the part of that one.
const (
	maxWaiting       = 1000
	maxWaitingOfHook = 200
)

// known is what is known of a delivery.
type known struct{ hook, state string }

// storePatience is how long the sender of a request waits for the log.
const storePatience = 8 * time.Second

// Received makes durable what was told, all of it or nothing. repeated: all of it is there already, and did not fail, as far as this node
// knows; the owner of the partition knows it of all.
func (k *Keeper) Received(told []function.HookTold) (repeated bool, err error) {
	var records []eventlog.Record
	for _, t := range told {
		if state := k.state(t.ID); state != "" && state != function.HookFailed {
			continue
		}
		r, err := k.record(&event.Event{ID: t.ID, Type: event.TypeHookReceived, Time: t.Received}, t.Hook, t.HookReceived)
		if err != nil {
			return false, err
		}
		records = append(records, r)
	}
	if len(records) == 0 {
		return true, nil
	}
	if err := k.admit(told[0].Hook, len(records)); err != nil {
		return false, err
	}
	defer k.stored(told[0].Hook, len(records))
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	if _, err := k.o.Log.Append(ctx, records); err != nil {
		return false, fmt.Errorf("append %s: %w", event.TypeHookReceived, err)
	}
	return false, nil
}

// admit makes room for more deliveries of a hook, until stored.
func (k *Keeper) admit(hook string, more int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, own := 0, k.storing[hook]
	for _, n := range k.storing {
		all += n
	}
	for _, d := range k.known {
		if d.state != function.HookWaiting {
			continue
		}
		if all++; d.hook == hook {
			own++
		}
	}
	const hint = "try again later; the node's log says what holds them up"
	switch {
	case own+more > maxWaitingOfHook:
		return fault.New(fault.Exhausted, "%d deliveries of the hook %s wait; more are not taken", own, hook).WithHint(hint)
	case all+more > maxWaiting:
		return fault.New(fault.Exhausted, "%d deliveries of hooks wait; more are not taken", all).WithHint(hint)
	}
	k.storing[hook] += more
	return nil
}

func (k *Keeper) stored(hook string, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.storing[hook] -= n; k.storing[hook] == 0 {
		delete(k.storing, hook)
	}
}

func (k *Keeper) state(id string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[id].state
}

// note keeps what is known of a delivery.
func (k *Keeper) note(id, hook, state string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[id] = known{hook, state}
}

func (k *Keeper) forget(ids ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		delete(k.known, id)
	}
}

// record makes an event of the topic of hooks.
func (k *Keeper) record(e *event.Event, hook string, data any) (eventlog.Record, error) {
	var err error
	if e.Data, err = json.Marshal(data); err != nil {
		return eventlog.Record{}, fmt.Errorf("encode %s: %w", e.Type, err)
	}
	if e.Time.IsZero() {
		e.Time = k.o.Now().UTC()
	}
	e.Source, e.Subject, e.DataContentType = "/dalamb/hooks/"+hook, hook, "application/json"
	e.Extensions = map[string]any{event.ExtPartitionKey: hook}
	return eventlog.FromEvent(function.TopicHooks, e), nil
}

// Deliveries are the newest deliveries of a hook, the newest first.
func (k *Keeper) Deliveries(ctx context.Context, hook string, most int) ([]function.HookFinished, error) {
	topics, err := k.o.Log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name != function.TopicHooks {
			continue
		}
		s := newStory()
		p := eventlog.Partition{Topic: t.Name, ID: eventlog.PartitionFor([]byte(hook), t.Partitions)}
		if _, err := eventlog.ReadAll(ctx, k.o.Log, p, s.fold); err != nil {
			return nil, err
		}
		return s.newest(hook, most), nil
	}
	return nil, nil
}
