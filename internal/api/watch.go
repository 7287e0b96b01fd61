package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	eventStream = "text/event-stream"
	// watchAlive is how often something is sent to who watches, though nothing changes: what stands in between shall see that the connection is used.
	watchAlive = 15 * time.Second
)

// Kinds of what is watched.
const (
	watchFunction = "function"
	watchService  = "service"
	watchConfig   = "config"
	watchSecret   = "secret"
)

func watchedKinds() []string { return []string{watchConfig, watchFunction, watchSecret, watchService} }

// position is how far a watcher is: behind these offsets of the control topic and of the topic of services.
type position struct{ control, services int64 }

func (p position) String() string { return fmt.Sprintf("%d.%d", p.control, p.services) }

func parsePosition(text string) (p position, err error) {
	one, two, _ := strings.Cut(text, ".")
	if p.control, err = strconv.ParseInt(one, 10, 64); err == nil {
		p.services, err = strconv.ParseInt(two, 10, 64)
	}
	if err != nil || p.control < 0 || p.services < 0 || p.String() != text {
		return p, fault.New(fault.Invalid, "%q is no position", fault.Clip(text)).WithHint("give the id of an event that this stream has sent, or none to begin anew")
	}
	return p, nil
}

// watch is GET /v1/watch. HTML Living Standard, section 9.2, server-sent events.
func (a *API) watch(w http.ResponseWriter, r *http.Request, q query) error {
	kind := q.text("kind")
	if kind != "" && !slices.Contains(watchedKinds(), kind) {
		return fault.New(fault.Invalid, "query parameter \"kind\": %q is none", fault.Clip(kind)).WithHint("allowed: %s", strings.Join(watchedKinds(), ", "))
	}
	var at position
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = q.text("since")
	}
	if text != "" {
		var err error
		if at, err = parsePosition(text); err != nil {
			return err
		}
	}
	ctx := r.Context()
	if err := a.catalog.CatchUp(ctx); err != nil { // another node may have been further
		return err
	}
	if err := a.services.CatchUp(ctx); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy in between shall not wait for more
	control := http.NewResponseController(w)
	alive := time.NewTicker(watchAlive)
	defer alive.Stop()
	text = ": dalamb\n\n" // so that the client knows that it is connected
	for first := true; ; first = false {
		functions, services := a.catalog.Changed(), a.services.Changed()
		news, next := newsSince(at, first, a.catalog.View(), a.services.View())
		text += news.of(kind, next)
		at = next
		if text != "" {
			if _, err := w.Write([]byte(text)); err != nil {
				return nil // the client is gone
			}
			if err := control.Flush(); err != nil {
				return nil
			}
		}
		text = ""
		select {
		case <-functions:
		case <-services:
		case <-alive.C:
			text = ":\n\n"
		case <-a.ending:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// news is what a watcher has not seen.
type news struct {
	reset bool // it is to forget what it has seen
	all   []wire.Watched
}

// of writes the news as server-sent events. The last one has the id: who loses the connection before it begins where he was.
func (n news) of(kind string, next position) string {
	var b strings.Builder
	if n.reset {
		b.WriteString("event: reset\ndata: {}\n\n")
	}
	if kind != "" {
		n.all = slices.DeleteFunc(n.all, func(w wire.Watched) bool { return w.Kind != kind })
	}
	for i, w := range n.all {
		text, err := json.Marshal(w)
		if err != nil { // texts and numbers
			panic(fmt.Sprintf("encode %T: %v", w, err))
		}
		if i == len(n.all)-1 {
			fmt.Fprintf(&b, "id: %s\n", next)
		}
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", w.Kind, text)
	}
	return b.String()
}

// newsSince is what has changed since a position, and the position behind it. first: the position is the client's, who may come from elsewhere.
func newsSince(at position, first bool, v *catalog.View, s *discovery.View) (n news, next position) {
	next = position{v.Offset, s.Offset}
	names, known := s.Since(at.services)
	begins := first && at == position{}
	if !begins && (!known || at.control > v.Offset) { // what is gone may be forgotten while somebody watches, too
		n.reset, at, begins = true, position{}, true
	}
	for _, e := range v.Since(at.control) {
		if w, is := watchedEntity(v, e); is && !(begins && w.Removed) {
			n.all = append(n.all, w)
		}
	}
	if begins {
		names = nil
		for _, service := range s.Services() {
			names = append(names, service.Name)
		}
	}
	for _, name := range names {
		w := wire.Watched{Kind: watchService, Name: name}
		if service, err := s.Service(name); err != nil {
			w.Removed = true
		} else {
			whole := wireService(service, false)
			w.Service = &whole
		}
		n.all = append(n.all, w)
	}
	return n, next
}

// watchedEntity is what is told of an entity of the catalog; is is false for one that nobody is told of.
func watchedEntity(v *catalog.View, e catalog.Entity) (w wire.Watched, is bool) {
	w = wire.Watched{Kind: e.Kind, Name: e.Name}
	var err error
	switch e.Kind {
	case "":
		w.Kind = watchFunction
		f, missing := v.Function(e.Name)
		if err = missing; err == nil {
			if live := f.Live(); live != nil {
				w.Version = live.Number
			}
		}
	case watchConfig:
		_, err = v.ConfigValue(e.Name)
	case watchSecret:
		_, err = v.Secret(e.Name)
	default:
		return w, false
	}
	w.Removed = err != nil
	return w, true
}
