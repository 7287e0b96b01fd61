package api

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

// exportTrace sends a trace with all that belongs to it, as package bundle writes it.
func (a *API) exportTrace(w http.ResponseWriter, r *http.Request, q query) error {
	id := q.text("id")
	if id == "" {
		return fault.New(fault.Invalid, "no id is given (query parameter \"id\")").WithHint("the id of an event or of a run, a W3C trace id, or TOPIC/PARTITION@OFFSET")
	}
	causes, err := q.flag("causes")
	if err != nil {
		return err
	}
	images, err := q.number("images", 0, 1, maxExportImages)
	if err != nil {
		return err
	}
	if images > 0 {
		if err := access.From(r.Context()).May(access.Operate); err != nil {
			return err
		}
	}
	select {
	case a.exports <- struct{}{}:
		defer func() { <-a.exports }()
	default:
		return fault.New(fault.Unavailable, "%d exports are under way", maxExports).WithHint("ask again when one is over")
	}
	e := export{api: a, runs: map[string]bool{}, ran: map[string][]int{}, spans: map[string][]span{}}
	err = a.search(r.Context(), func(ctx context.Context) error { return e.gather(ctx, id, q.text("topic"), causes) })
	if err != nil {
		return err
	}
	if images > 0 {
		if err := e.images(r.Context(), images); err != nil {
			return err
		}
	}
	out := &begun{w: w, c: http.NewResponseController(w), stall: exportStall}
	defer out.end()
	err = bundle.Write(out, &e.out, bundle.Stores{Content: e.content, Code: func(digest string, w io.Writer) error {
		dir, err := a.code.Dir(digest)
		if err != nil {
			return err
		}
		_, err = image.Pack(dir, w)
		return err
	}})
	if err != nil && out.yes && r.Context().Err() == nil {
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	}
	return err
}

// export is a bundle in the making.
type export struct {
	api   *API
	out   bundle.Bundle
	bytes int
	runs  map[string]bool   // ids of runs and requests, by which log lines are known
	ran   map[string][]int  // function -> versions that ran, the first one first
	spans map[string][]span // function -> when it ran
}

func (e *export) gather(ctx context.Context, id, topic string, causes bool) error {
	if err := e.api.history.CatchUp(ctx); err != nil {
		return err
	}
	t := newTracer(e.api, id)
	t.met = e.meet
	sources, err := t.grow(ctx, id, topic, causes)
	if err != nil {
		return err
	}
	e.out.Trace = t.out
	m := &e.out.Manifest
	m.ID, m.Began, m.Ended, m.Missing = id, t.out.Began.UTC(), t.out.Ended.UTC(), append(slices.Clone(t.out.Cut), m.Missing...)
	for _, f := range sources {
		m.Sources = append(m.Sources, f.event.ID)
	}
	for _, n := range lost(t.out.Roots) {
		m.Missing = append(m.Missing, fmt.Sprintf("event %s of topic %s: the log holds it no more, or it stands elsewhere", fault.Clip(n.ID), n.At))
	}
	slices.SortStableFunc(e.out.Events, func(x, y bundle.Event) int {
		return cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.Offset, y.Offset))
	})
	if err := e.platform(ctx); err != nil {
		return err
	}
	if err := e.topics(ctx); err != nil {
		return err
	}
	return e.logs(ctx)
}

// lost are the nodes of events that were not found.
func lost(nodes []wire.TraceNode) (all []wire.TraceNode) {
	for _, n := range nodes {
		if n.Kind == "event" && n.Began.IsZero() {
			all = append(all, n)
		}
		all = append(all, lost(n.Below)...)
	}
	return all
}

// meet takes a node of the trace.
func (e *export) meet(f *found, r *function.Run) error {
	if f != nil {
		rec := bundle.EventOf(&f.record)
		if e.bytes += len(rec.Value) + len(rec.Key); e.bytes > bundle.MaxPart/2 { // base64 takes a third more
			return fault.New(fault.TooLarge, "the events of the trace have more than %d MiB", bundle.MaxPart>>21).WithHint("export less of it: name an event further down, without its causes")
		}
		e.out.Events = append(e.out.Events, rec)
		var req function.Request
		if f.event.Type == event.TypeRequestCompleted && decodeData(f, &req) {
			e.runs[req.ID] = true
			if req.BodySize != int64(len(req.Body)) {
				e.lacks("the body of request %s, %s %s: the log keeps %d of its %d bytes, so it cannot be sent again", fault.Clip(f.event.ID), fault.Clip(req.Method), fault.Clip(req.Path), len(req.Body), req.BodySize)
			}
			e.took(req.Function, req.Version, span{req.Start, req.Start.Add(req.Duration.Std())})
		}
		return nil
	}
	e.out.Runs = append(e.out.Runs, *r)
	e.runs[r.ID] = true
	for _, a := range r.Attempts {
		e.runs[a.ID] = true
		e.took(r.Function, a.Version, span{a.Start, a.Start.Add(a.Duration.Std())})
	}
	return nil
}

func (e *export) took(fn string, version int, s span) {
	if !s.from.IsZero() {
		e.spans[fn] = append(e.spans[fn], s)
	}
	if version > 0 && !slices.Contains(e.ran[fn], version) {
		e.ran[fn] = append(e.ran[fn], version)
	}
}

// platform takes what there was of the platform: the rules when the trace began, the versions that ran, the functions that these name, and the values
// that they take.
func (e *export) platform(ctx context.Context) error {
	then, err := e.api.pasts.At(ctx, catalog.PastQuery{At: e.out.Manifest.Began})
	if err != nil {
		return err
	}
	e.out.Rules = pastOf(then.View, e.out.Manifest.Began, "")
	late, err := e.api.pasts.At(ctx, catalog.PastQuery{At: e.out.Manifest.Ended.Add(time.Millisecond)}) // what ran may have been deployed meanwhile
	if err != nil {
		return err
	}
	todo := slices.Sorted(maps.Keys(e.ran))
	for seen := map[string]bool{}; len(todo) > 0; todo = todo[1:] {
		name := todo[0]
		if seen[name] {
			continue
		}
		seen[name] = true
		f := e.versions(late.View, name)
		if f == nil {
			continue
		}
		e.out.Functions = append(e.out.Functions, *f)
		spec := &f.Chosen().Spec
		for _, n := range spec.Named() {
			todo = append(todo, n.Function)
		}
		todo = append(todo, spec.DestinationFunctions()...)
	}
	slices.SortFunc(e.out.Functions, func(x, y bundle.Function) int { return cmp.Compare(x.Name, y.Name) })
	e.named(late.View)
	return nil
}

// versions are those of a function that ran, or the one that was live of a function that did not; nil = there are none any more.
func (e *export) versions(view *catalog.View, name string) *bundle.Function {
	numbers := e.ran[name]
	if len(numbers) == 0 {
		live, err := view.Alias(name, "")
		if err != nil {
			e.lacks("function %s, which another one names: it was not there", name)
			return nil
		}
		numbers = []int{live.Primary}
	}
	f := &bundle.Function{Name: name}
	for _, n := range numbers {
		v, err := view.VersionNumber(name, n)
		if err != nil {
			v, err = e.api.catalog.View().VersionNumber(name, n)
		}
		if err != nil {
			e.lacks("version %d of %s: it was removed", n, name)
			continue
		}
		if f.Version == 0 {
			f.Version = n
		}
		f.Versions = append(f.Versions, *v)
	}
	if f.Version == 0 {
		return nil
	}
	return f
}

func (e *export) lacks(format string, args ...any) {
	e.out.Manifest.Missing = append(e.out.Manifest.Missing, fmt.Sprintf(format, args...))
}

// named notes the code, the images and the values of the versions.
func (e *export) named(view *catalog.View) {
	m := &e.out.Manifest
	config := map[string]bool{}
	for i := range e.out.Functions {
		for _, v := range e.out.Functions[i].Versions {
			if ref := v.Spec.ImageRef(); ref != "" {
				m.Images = append(m.Images, ref)
			}
			m.Secrets = append(m.Secrets, v.Spec.SecretNames()...)
			for _, name := range v.Spec.ConfigNames() {
				config[name] = true
			}
			if v.Code == "" {
				continue
			}
			if _, err := e.api.code.Dir(v.Code); err != nil {
				e.lacks("the code of version %d of %s: %v", v.Number, v.Spec.Name, err)
				continue
			}
			e.out.Code = append(e.out.Code, v.Code)
		}
	}
	for _, list := range []*[]string{&m.Images, &m.Secrets, &e.out.Code} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, name := range slices.Sorted(maps.Keys(config)) {
		v, err := view.ConfigValue(name)
		if err != nil {
			e.lacks("configuration value %s: it was not set", name)
			continue
		}
		e.out.Config = append(e.out.Config, bundle.Value{Name: name, Text: v.Text})
	}
}

// topics takes the settings of the topics that the events and the functions are about. They are those of now: the log keeps no others.
func (e *export) topics(ctx context.Context) error {
	names := map[string]bool{}
	for _, ev := range e.out.Events {
		names[ev.Topic] = true
	}
	for i := range e.out.Functions {
		for _, v := range e.out.Functions[i].Versions {
			for _, name := range v.Spec.Topics() {
				names[name] = true
			}
		}
	}
	all, err := e.api.Topics(ctx)
	if err != nil {
		return err
	}
	for _, t := range all.Topics {
		if names[t.Name] && !t.System {
			e.out.Topics = append(e.out.Topics, t)
		}
	}
	slices.SortFunc(e.out.Topics, func(x, y wire.Topic) int { return cmp.Compare(x.Name, y.Name) })
	return nil
}
