package follow

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/wire"
)

// world is a real log and catalog, and registries and a deploy that are played: tags name digests, and a deploy makes a version of
// what the tag names.
type world struct {
	*testing.T
	log     eventlog.Log
	catalog *catalog.Catalog
	dir     string

	mu      sync.Mutex
	tags    map[string]string // reference -> digest
	down    []error           // what the next deploys say
	deploys []wire.DeployRequest
}

func newWorld(t *testing.T) *world {
	t.Helper()
	log, err := enginetest.Open(enginetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	for _, name := range []string{function.TopicControl, function.TopicInvoke, function.TopicEvents} {
		if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: name, Partitions: 1}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := catalog.New(catalog.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	if err := c.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &world{T: t, log: log, catalog: c, dir: t.TempDir(), tags: map[string]string{}}
}

// Tag implements Images: of references such as own/NAME:TAG and other/NAME:TAG.
func (w *world) Tag(ref string) (pull.Tag, bool) {
	registry, rest, _ := strings.Cut(ref, "/")
	name, tag, ok := strings.Cut(rest, ":")
	return pull.Tag{Own: registry == "own", Repository: name, Tag: tag}, ok
}

func (w *world) Digest(_ context.Context, ref string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if digest, ok := w.tags[ref]; ok {
		return digest, nil
	}
	return "", fault.New(fault.NotFound, "there is no image %s", ref)
}

func (w *world) Deploy(ctx context.Context, req wire.DeployRequest) (wire.Deployed, error) {
	w.mu.Lock()
	w.deploys = append(w.deploys, req)
	if len(w.down) > 0 {
		err := w.down[0]
		w.down = w.down[1:]
		w.mu.Unlock()
		return wire.Deployed{}, err
	}
	digest := w.tags[req.Spec.ImageRef()]
	w.mu.Unlock()
	img := &function.Image{Reference: req.Spec.ImageRef(), Digest: digest}
	img.Give(&req.Spec, []string{"/of", digest}, 0)
	v := function.Version{Digest: req.Spec.Digest(req.Code, digest), Image: img, Origin: req.Origin, Spec: req.Spec}
	view, err := w.catalog.Submit(ctx, catalog.Deploy{Version: v, Alias: req.Alias})
	if err != nil {
		return wire.Deployed{}, err
	}
	f, err := view.Function(req.Spec.Name)
	return wire.Deployed{Function: f.Name, Version: len(f.Versions), Created: true}, err
}

func (w *world) tag(ref, digest string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tags[ref] = digest
}

// deploy is a person's.
func (w *world) deploy(name, alias, ref string, follow bool) {
	w.Helper()
	s := function.Spec{Name: name, Image: ref, Follow: follow, Scale: function.Scale{Max: 1}, Entry: function.Entry{Type: function.EntryStdio}}
	if _, err := w.Deploy(w.Context(), wire.DeployRequest{Spec: s, Alias: alias}); err != nil {
		w.Fatal(err)
	}
	w.mu.Lock()
	w.deploys = nil
	w.mu.Unlock()
}

func (w *world) follower() *Follower {
	w.Helper()
	f, err := Open(Options{Dir: w.dir, Log: w.log, Catalog: w.catalog, Images: w, Deployer: w, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.Fatal(err)
	}
	return f
}

// act lets a follower act upon what waits.
func (w *world) act(f *Follower) {
	w.Helper()
	for {
		name, p, err := f.queue.first()
		if err != nil {
			w.Fatal(err)
		}
		if p == nil {
			return
		}
		if !f.act(w.Context(), p) {
			w.Fatal("act was given up")
		}
		if err := f.queue.remove(name); err != nil {
			w.Fatal(err)
		}
	}
}

func pushOf(registry, repository, tag string) function.ImagePushed {
	return function.ImagePushed{Registry: registry, Repository: repository, Tag: tag, Digest: "sha256:any"}
}

func (w *world) pushed(f *Follower, p function.ImagePushed) {
	w.Helper()
	if err := f.Pushed(event.NewID(), p); err != nil {
		w.Fatal(err)
	}
}

// images are those that the aliases of a function have, "ALIAS=DIGEST".
func (w *world) images(name string) []string {
	w.Helper()
	f, err := w.catalog.View().Function(name)
	if err != nil {
		w.Fatal(err)
	}
	var all []string
	for _, a := range f.Aliases {
		all = append(all, a.Name+"="+f.Versions[a.Primary-1].Image.Digest)
	}
	slices.Sort(all)
	return all
}

// events are those of a type, oldest first.
func (w *world) events(typ string) []*event.Event {
	w.Helper()
	rs, err := w.log.Read(w.Context(), eventlog.Partition{Topic: function.TopicEvents}, 0, eventlog.ReadOptions{NoWait: true})
	if err != nil {
		w.Fatal(err)
	}
	var all []*event.Event
	for _, r := range rs {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			w.Fatal(err)
		}
		if e.Type == typ {
			all = append(all, e)
		}
	}
	return all
}

func (w *world) want(name string, images ...string) {
	w.Helper()
	if got := w.images(name); !slices.Equal(got, images) {
		w.Errorf("%s has %q, want %q", name, got, images)
	}
}

// until waits for a function to have images.
func (w *world) until(name string, images ...string) {
	w.Helper()
	for {
		changed := w.catalog.Changed()
		if slices.Equal(w.images(name), images) {
			return
		}
		<-changed
	}
}

func TestWhoFollowsGetsAVersion(t *testing.T) {
	w := newWorld(t)
	w.tag("own/pay:stable", "A")
	w.tag("own/pay:other", "A")
	w.tag("other/pay:stable", "A")
	w.deploy("pay", "live", "own/pay:stable", true)
	w.deploy("pay", "preview", "own/pay:stable", true)
	w.deploy("still", "live", "own/pay:stable", false)
	w.deploy("tagged", "live", "own/pay:other", true)
	w.deploy("foreign", "live", "other/pay:stable", true)
	f := w.follower()

	w.tag("own/pay:stable", "B")
	w.tag("other/pay:stable", "C")
	p := pushOf(pull.OwnHost, "pay", "stable")
	p.Pusher = "jane"
	w.pushed(f, p)
	w.act(f)
	w.want("pay", "live=B", "preview=B")
	w.want("still", "live=A")
	w.want("tagged", "live=A")
	w.want("foreign", "live=A")
	told := w.events(event.TypeImagePushed)
	var data function.ImagePushed
	if len(told) != 1 || told[0].Subject != "pay:stable" || told[0].Key() != "pay" || json.Unmarshal(told[0].Data, &data) != nil || data != p {
		t.Errorf("the log has %+v, want the push", told)
	}
	first := w.deploys[0]
	if first.Alias != "live" || len(first.Spec.Entry.Command) != 0 || *first.Origin != (function.Origin{Kind: function.OriginImage, Repository: "own/pay:stable", Pusher: "jane"}) {
		t.Errorf("the first deploy is %+v, want that of live, without the old image's command, and where it came from", first)
	}

	w.pushed(f, pushOf("harbor", "pay", "stable"))
	w.act(f)
	w.want("foreign", "live=C")
}

func TestAPushOfTheSameMovesNothing(t *testing.T) {
	w := newWorld(t)
	w.tag("own/pay:1", "A")
	w.deploy("pay", "live", "own/pay:1", true)
	f := w.follower()
	w.tag("own/pay:1", "B")
	w.pushed(f, pushOf(pull.OwnHost, "pay", "1"))
	w.act(f)
	// Somebody goes back; that the tag is pushed again as it was does not undo it.
	if _, err := w.catalog.Submit(t.Context(), catalog.Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1}}); err != nil {
		t.Fatal(err)
	}
	w.pushed(f, pushOf(pull.OwnHost, "pay", "1"))
	w.act(f)
	w.want("pay", "live=A")
	if len(w.deploys) != 1 {
		t.Errorf("%d deploys, want one", len(w.deploys))
	}
	w.tag("own/pay:1", "C")
	w.pushed(f, pushOf(pull.OwnHost, "pay", "1"))
	w.act(f)
	w.want("pay", "live=C")
}

// A node is killed between the push and the version.
func TestWhatWaitsIsActedUponAfterARestart(t *testing.T) {
	w := newWorld(t)
	w.tag("own/pay:1", "A")
	w.deploy("pay", "live", "own/pay:1", true)
	w.tag("own/pay:1", "B")
	w.pushed(w.follower(), pushOf(pull.OwnHost, "pay", "1"))
	for name, content := range map[string]string{"new-1": "half", "0-damaged.json": "{"} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := w.follower()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	w.until("pay", "live=B")
	w.tag("own/pay:1", "C") // and it goes on
	w.pushed(f, pushOf(pull.OwnHost, "pay", "1"))
	w.until("pay", "live=C")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestWhatMayGoBetterIsTriedAgain(t *testing.T) {
	unavailable := fault.New(fault.Unavailable, "the registry is away")
	invalid := fault.New(fault.Invalid, "it is for another machine").WithHint("build it again")
	for name, tt := range map[string]struct {
		say   []error
		tries int
		fails string // "" = the version comes
	}{
		"works again":      {[]error{unavailable, fault.New(fault.Conflict, "another was faster")}, 3, ""},
		"stays away":       {slices.Repeat([]error{unavailable}, maxAttempts), maxAttempts, "the registry is away"},
		"never gets right": {[]error{invalid}, 1, "it is for another machine"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.tag("own/pay:1", "A")
			w.deploy("pay", "live", "own/pay:1", true)
			w.tag("own/pay:1", "B")
			view := w.catalog.View()
			requests := 0
			synctest.Test(t, func(t *testing.T) {
				f := &Follower{o: Options{
					Log: told{}, Catalog: fixed{view}, Images: w, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
					Deployer: deployer(func() error {
						requests++
						if requests <= len(tt.say) {
							return tt.say[requests-1]
						}
						return nil
					}),
				}, trouble: map[target]error{}}
				if !f.act(t.Context(), &Push{ID: "1", ImagePushed: pushOf(pull.OwnHost, "pay", "1")}) {
					t.Error("act was given up")
				}
				err := f.Trouble("pay", "live")
				if requests != tt.tries || (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("%d tries, trouble %v; want %d and %q", requests, err, tt.tries, tt.fails)
				}
			})
		})
	}
}

type deployer func() error

func (d deployer) Deploy(context.Context, wire.DeployRequest) (wire.Deployed, error) {
	return wire.Deployed{}, d()
}

type fixed struct{ view *catalog.View }

func (f fixed) View() *catalog.View           { return f.view }
func (f fixed) CatchUp(context.Context) error { return nil }

type told struct{}

func (told) Append(context.Context, []eventlog.Record) ([]eventlog.Position, error) { return nil, nil }

func TestAFailureIsToldAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.tag("own/pay:1", "A")
	w.deploy("pay", "live", "own/pay:1", true)
	f := w.follower()
	w.tag("own/pay:1", "B")
	w.down = []error{fault.New(fault.Invalid, "it is for another machine").WithHint("build it again")}
	w.pushed(f, pushOf(pull.OwnHost, "pay", "1"))
	w.act(f)
	w.want("pay", "live=A")
	failed := w.events(event.TypeFollowFailed)
	var data function.FollowFailed
	if len(failed) != 1 || failed[0].Subject != "pay" || json.Unmarshal(failed[0].Data, &data) != nil {
		t.Fatalf("the log has %+v, want one failure", failed)
	}
	data.Pushed = time.Time{}
	want := function.FollowFailed{
		Function: "pay", Alias: "live", Image: "own/pay:1", Error: "it is for another machine", Hint: "build it again",
		CauseID: w.events(event.TypeImagePushed)[0].ID, Attempts: 1, Unchanged: 1,
	}
	if data != want {
		t.Errorf("it says %+v, want %+v", data, want)
	}
	w.pushed(f, pushOf(pull.OwnHost, "pay", "1"))
	w.act(f)
	w.want("pay", "live=B")
	if err := f.Trouble("pay", "live"); err != nil {
		t.Errorf("Trouble = %v after a push that worked", err)
	}
}

func TestWaitingPushesAreBounded(t *testing.T) {
	w := newWorld(t)
	f := w.follower()
	for i := range maxWaiting {
		if err := os.WriteFile(filepath.Join(w.dir, fmt.Sprintf("%d.json", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Pushed("1", pushOf(pull.OwnHost, "pay", "1")); fault.KindOf(err) != fault.Exhausted || fault.HintOf(err) == "" {
		t.Errorf("Pushed = %v, want it refused", err)
	}
}
