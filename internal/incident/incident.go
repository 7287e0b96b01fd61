// Package incident makes what is in a bundle happen again, on a node that is there for that alone: it deploys the versions, sends the source events in
// their order, waits until nothing is left to do, and compares what came of them with what is recorded. It does not start the node.
package incident

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Options of Run. All are required but where it says so.
type Options struct {
	Bundle *bundle.Opened
	Node   *client.Client // of a node without functions and events
	// Append stores records as they are, those of topics of dalamb's own too.
	Append  func(ctx context.Context, records []eventlog.Record) error
	Gateway string       // URL
	HTTP    *http.Client // for requests to it
	Dir     string       // for files that are needed meanwhile
	// Push sends an image that is packed in the bundle, by the digest of its manifest, to the node's registry for a function, and returns the reference to it.
	Push    func(ctx context.Context, function, digest string) (ref string, err error)
	Secrets map[string][]byte
	// NoNetwork takes the network from functions; refused where the runner cannot.
	NoNetwork bool
	Patience  time.Duration // for the events to be done with
	Glance    time.Duration // between two looks at that; 0 = 100 ms
}

// Outcome is what came of it.
type Outcome struct {
	Bundle    string                `json:"bundle"` // the id that it was exported by
	Began     time.Time             `json:"began"`  // then
	Functions []Deployed            `json:"functions"`
	Sent      []Sent                `json:"sent"`
	Missing   []string              `json:"missing,omitempty"` // in the bundle, in words
	Notes     []string              `json:"notes,omitempty"`   // what is otherwise than it was
	Report    function.ReplayReport `json:"report"`
}

// Deployed is a function and the version that it has now.
type Deployed struct {
	Function string           `json:"function"`
	Version  int              `json:"version"` // here
	Was      int              `json:"was"`     // where the bundle is from
	Origin   *function.Origin `json:"origin,omitempty"`
}

// Sent is a source event.
type Sent struct {
	ID   string `json:"id"`             // in the bundle
	Name string `json:"name"`           // its type, or the request's method and path
	Why  string `json:"why,omitempty"`  // it was not sent; "" = it was
	Here string `json:"here,omitempty"` // its id on this node
}

// Same says that everything came out as it was recorded.
func (o *Outcome) Same() bool {
	r := &o.Report
	return r.Different == 0 && r.NewlyFailing == 0 && r.NewlyPassing == 0 && r.NotRun == 0 && r.NoOriginal == 0
}

// MissingSecrets are those that the functions of a bundle take and that are not given, sorted.
func MissingSecrets(b *bundle.Opened, given map[string][]byte) (names []string) {
	for _, name := range b.Manifest.Secrets {
		if _, ok := given[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// Run does it once. An error means that it could not be done; that something came out differently is none.
func Run(ctx context.Context, o Options) (*Outcome, error) {
	if o.Bundle == nil || o.Node == nil || o.Append == nil || o.HTTP == nil || o.Push == nil || o.Patience <= 0 {
		return nil, errors.New("incident needs a bundle, a node, a way to append to its log, one to its gateway, one to its registry, and patience")
	}
	if o.Glance == 0 {
		o.Glance = 100 * time.Millisecond
	}
	r := &run{Options: o, out: &Outcome{Bundle: o.Bundle.Manifest.ID, Began: o.Bundle.Manifest.Began, Missing: o.Bundle.Manifest.Missing, Functions: []Deployed{}, Sent: []Sent{}}}
	for _, do := range []func(context.Context) error{r.topics, r.values, r.deploy, r.send, r.settle, r.compare} {
		if err := do(ctx); err != nil {
			return r.out, err
		}
	}
	return r.out, nil
}

// run is one under way.
type run struct {
	Options
	out    *Outcome
	traces []string // of each of out.Sent: the W3C trace that a request was sent with; "" = it was none
}

func (r *run) note(format string, args ...any) {
	r.out.Notes = append(r.out.Notes, fmt.Sprintf(format, args...))
}

// topics makes the topics as wide as they were, so that a key's events stand where they stood.
func (r *run) topics(ctx context.Context) error {
	for _, t := range r.Bundle.Topics {
		if function.SystemTopic(t.Name) {
			continue
		}
		if t.Name == function.TopicEvents {
			if _, err := r.Node.AlterTopic(ctx, t.Name, wire.TopicAlter{Partitions: &t.Partitions}); err != nil {
				r.note("topic %s is not as wide as it was: %v", t.Name, err)
			}
			continue
		}
		if _, err := r.Node.CreateTopic(ctx, wire.TopicCreate{Name: t.Name, Partitions: t.Partitions, Compact: t.Compact}); err != nil {
			return fmt.Errorf("make topic %s: %w", fault.Clip(t.Name), err)
		}
	}
	return nil
}

func (r *run) values(ctx context.Context) error {
	if missing := MissingSecrets(r.Bundle, r.Secrets); len(missing) > 0 {
		return fault.New(fault.Invalid, "the functions take %s, and no bundle has secrets", strings.Join(missing, ", ")).
			WithHint("give each, or a stand-in: --secret %s=FILE", missing[0])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Secrets)) {
		if _, err := r.Node.SetSecret(ctx, name, r.Secrets[name]); err != nil {
			return fmt.Errorf("set secret %s: %w", name, err)
		}
	}
	for _, v := range r.Bundle.Config {
		if _, err := r.Node.SetConfig(ctx, v.Name, v.Text); err != nil {
			return fmt.Errorf("set configuration value %s: %w", fault.Clip(v.Name), err)
		}
	}
	return nil
}

// deploy makes the versions that ran, all together.
func (r *run) deploy(ctx context.Context) error {
	var all []wire.DeployRequest
	pushed := map[string]string{} // by digest
	for i := range r.Bundle.Functions {
		f := &r.Bundle.Functions[i]
		v := f.Chosen()
		if len(f.Versions) > 1 {
			r.note("%d versions of %s ran; version %d, which was the first, runs all of it here", len(f.Versions), f.Name, v.Number)
		}
		if v.Code != "" {
			err := r.Node.BringCode(ctx, v.Code, func() (io.ReadCloser, error) { return r.Bundle.Archive(v.Code) })
			if err != nil {
				return fmt.Errorf("bring the code of %s: %w", f.Name, err)
			}
		}
		spec := r.again(v)
		if digest := v.Image.Named(); r.Bundle.Packs(digest) {
			if pushed[digest] == "" {
				ref, err := r.Push(ctx, f.Name, digest)
				if err != nil {
					return fmt.Errorf("bring the image of %s: %w", f.Name, err)
				}
				pushed[digest] = ref
			}
			spec.RunIn(pushed[digest])
		}
		all = append(all, wire.DeployRequest{Spec: spec, Code: v.Code, Origin: v.Origin})
		r.out.Functions = append(r.out.Functions, Deployed{Function: f.Name, Was: v.Number, Origin: v.Origin})
	}
	if len(all) == 0 {
		r.note("no function ran")
		return nil
	}
	done, err := r.Node.Release(ctx, wire.ReleaseRequest{Functions: all})
	if err != nil {
		return fmt.Errorf("deploy the functions of the bundle: %w", err)
	}
	for i, d := range done {
		r.out.Functions[i].Version = d.Version
	}
	if r.NoNetwork {
		return r.fenced(ctx)
	}
	return nil
}

// fenced refuses to go on where the network cannot be kept from functions.
func (r *run) fenced(ctx context.Context) error {
	list, err := r.Node.Functions(ctx)
	if err != nil {
		return err
	}
	for _, f := range list {
		if !f.Isolated {
			return fault.New(fault.Invalid, "the runner of this node does not keep the network from %s", f.Name).
				WithHint("use a runner that fences, such as --runner native, or leave --no-network out")
		}
	}
	return nil
}

// seldom is the schedule that triggers have here in the place of their own: a trigger without one could not take the ticks that are in the bundle,
// and none of this one comes while somebody looks at an incident.
const seldom = "0 0 29 2 *"

// again is what is deployed of a version: it is live at once, and no time of its own makes it run.
func (r *run) again(v *function.Version) function.Spec {
	s := v.Spec
	s.Rollout, s.Follow, s.Scale.Min = nil, false, 0
	if v.Image.Named() != "" && !function.LocalImage(s.ImageRef()) {
		s.RunIn(v.Image.ByDigest())
	}
	if r.NoNetwork {
		s.Network, s.Allow = function.NetworkNone, nil
	}
	s.Triggers = slices.Clone(s.Triggers)
	for i, t := range s.Triggers {
		if t.Schedule != "" {
			t.Schedule, t.CatchUp = seldom, function.CatchUpNone
		}
		if t.Topic != "" {
			t.Start = function.StartEarliest // there is nothing but what is sent
		}
		s.Triggers[i] = t
	}
	return s
}

// settle waits until every trigger is done with every event, what came of them included: what a run emits is in the log before the run is over.
func (r *run) settle(ctx context.Context) error {
	within, stop := context.WithTimeout(ctx, r.Patience)
	defer stop()
	tick := time.NewTicker(r.Glance)
	defer tick.Stop()
	for quiet := 0; quiet < 2; {
		list, err := r.Node.Functions(within)
		if err != nil && within.Err() == nil {
			return err
		}
		lag := int64(0)
		for _, f := range list {
			lag += f.Lag
		}
		if quiet++; lag > 0 {
			quiet = 0
		}
		select {
		case <-tick.C:
		case <-within.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.note("after %s not every event was done with; what follows is how far it was", r.Patience)
			return nil
		}
	}
	return nil
}

// sources are the events to send, in the order in which they were appended.
func (r *run) sources() (all []source) {
	at := map[string]int{}
	for i, id := range r.Bundle.Manifest.Sources {
		at[id] = i
	}
	seen := map[string]bool{}
	for i := range r.Bundle.Events {
		rec := r.Bundle.Events[i].Record()
		e := eventlog.EventOf(&rec)
		if e == nil || seen[e.ID] {
			continue
		}
		if _, ok := at[e.ID]; ok {
			seen[e.ID] = true
			all = append(all, source{rec, e})
		}
	}
	return all
}

// source is an event with which the trace begins.
type source struct {
	record eventlog.Record
	event  *event.Event
}
