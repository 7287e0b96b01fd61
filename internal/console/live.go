package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
)

const (
	liveEvery = 5 * time.Second // a page that is looked at is fetched again at least so often
	liveLogs  = 50              // lines that were written before, which a page with live logs begins with
)

// stream is an answer of server-sent events. HTML Living Standard, section 9.2.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy in between shall not wait for more
	return &stream{w, http.NewResponseController(w)}
}

// tell sends one event; false = nobody is there any longer.
func (s *stream) tell(name string, data any) bool {
	text, err := json.Marshal(data)
	if err != nil {
		return false
	}
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", name, text); err != nil {
		return false
	}
	return s.control.Flush() == nil
}

// live tells a page that it should be fetched again: when something was changed, and every few seconds. It ends when the node stops, the page is left,
// or the session or its token ends.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	v := c.visitor(w, r)
	if v == nil {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	changed, over := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(over)
		for _, err := range v.Watch(ctx, "", "") {
			if err != nil {
				return
			}
			select {
			case changed <- struct{}{}:
			default: // it is told already
			}
		}
	}()
	defer func() { cancel(); <-over }()
	out := newStream(w)
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for out.tell("look", struct{}{}) {
		select {
		case <-changed:
		case <-tick.C:
		case <-v.session.over:
			out.tell("ended", struct{}{})
			return
		case <-over:
			if _, err := v.Node(ctx); fault.KindOf(err) == fault.Unauthenticated {
				c.sessions.end(r)
				out.tell("ended", struct{}{})
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

// liveLogs passes on what a function writes.
func (c *Console) liveLogs(w http.ResponseWriter, r *http.Request) {
	v := c.visitor(w, r)
	if v == nil {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-v.session.over:
			cancel()
		case <-ctx.Done():
		}
	})
	defer func() { cancel(); wg.Wait() }()
	out := newStream(w)
	if !out.tell("begin", struct{}{}) {
		return
	}
	for line, err := range v.Logs(ctx, client.LogQuery{Function: r.PathValue("function"), Follow: true, Limit: liveLogs}) {
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case fault.KindOf(err) == fault.Unauthenticated:
			c.sessions.end(r)
			out.tell("ended", struct{}{})
			return
		case err != nil:
			out.tell("broken", err.Error())
			return
		}
		if !out.tell("line", line) {
			return
		}
	}
}

// visitor is who asks for a stream; nil = nobody who is signed in, which was answered.
func (c *Console) visitor(w http.ResponseWriter, r *http.Request) *visit {
	s := c.sessions.of(r)
	if s == nil {
		w.WriteHeader(http.StatusNoContent) // a browser that is told so does not ask again
		return nil
	}
	asked, err := c.client(s.token)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil
	}
	return &visit{Client: asked, w: w, r: r, session: s, now: c.now()}
}
