package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/gateway"
	"github.com/dalamb/dalamb/internal/health"
)

const (
	// reachFirst is how long the log may take before the node says to those who ask that it waits for it.
	reachFirst = 3 * time.Second
	// reachAgain is how long one try lasts after that. A long control topic is read on in the next.
	reachAgain = 15 * time.Second
	reachPause = time.Second
	// reachWarn is how often a wait is logged.
	reachWarn = 30 * time.Second
)

// reach makes dalamb's topics and folds the catalog. While the log cannot be reached it goes on trying, and both listeners say so.
func (n *Node) reach(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with this function
		select {
		case <-n.parts.fail:
			stop()
		case <-ctx.Done():
		}
	}()
	w := &waiting{node: n}
	defer w.end()
	folding := false
	var warned time.Time
	for patience := reachFirst; ; patience = reachAgain {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if !folding {
				if err := ensureTopics(ctx, n.log); err != nil {
					return err
				}
				n.parts.start("catalog", n.catalog.Run)
				folding = true
			}
			return n.catalog.CatchUp(ctx)
		}()
		switch {
		case err == nil || !fault.Retryable(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		w.say(err)
		if time.Since(warned) > reachWarn {
			n.logger.Warn("the node waits for its log", "err", err)
			warned = time.Now()
		}
		select {
		case <-time.After(reachPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waiting answers on both listeners while the node waits for its log, and gives them back then.
type waiting struct {
	node    *Node
	reason  atomic.Pointer[fault.Error]
	servers []*http.Server
	done    sync.WaitGroup
}

// say begins to answer, or changes the answer.
func (w *waiting) say(err error) {
	f := fault.New(fault.Unavailable, "the node waits for its log: %w", err)
	if hint := fault.HintOf(err); hint != "" {
		f = f.WithHint("%s", hint)
	}
	w.reason.Store(f)
	if w.servers != nil {
		return
	}
	n := w.node
	control := http.NewServeMux()
	control.HandleFunc("GET /_/health", w.health)
	control.HandleFunc("GET /_/health/ready", w.health)
	control.HandleFunc("GET /_/health/live", w.live)
	control.Handle("/", n.api.Private(http.HandlerFunc(w.refuse)))
	entrance := http.NewServeMux()
	entrance.HandleFunc("GET /_/health", w.health)
	entrance.HandleFunc("GET /_/health/ready", w.health)
	entrance.HandleFunc("GET /_/health/live", w.live)
	entrance.HandleFunc("/", func(rw http.ResponseWriter, _ *http.Request) { gateway.WriteUnavailable(rw, errWaiting()) })
	inside, outside := gateway.Server(control, n.logger), gateway.Server(entrance, n.logger)
	n.encrypt(outside, inside)
	w.serve(inside, n.controlListener)
	w.serve(outside, n.gatewayListener)
	info := n.Info()
	info.Waiting = true
	if err := writeNode(n.config.Data, info); err != nil { // commands find the node, and hear what it waits for
		n.logger.Warn("commands do not find this node yet", "err", err)
	}
	if n.waiting != nil {
		n.waiting(n, f)
	}
}

// errWaiting is what the outside is told: nothing of what is behind the node.
func errWaiting() error {
	return fault.New(fault.Unavailable, "this node waits for its log").WithHint("try again later")
}

func (w *waiting) health(rw http.ResponseWriter, _ *http.Request) {
	gateway.WriteHealth(rw, map[string]error{"log": w.reason.Load()}, health.Report{})
}

func (w *waiting) live(rw http.ResponseWriter, _ *http.Request) { gateway.WriteLive(rw) }

func (w *waiting) refuse(rw http.ResponseWriter, _ *http.Request) {
	gateway.WriteUnavailable(rw, w.reason.Load())
}

// serve answers on a listener that it does not close.
func (w *waiting) serve(s *http.Server, l net.Listener) {
	w.servers = append(w.servers, s)
	w.done.Go(func() {
		if err := accept(s, lent{l}); !errors.Is(err, http.ErrServerClosed) {
			w.node.logger.Error("answer while waiting for the log", "err", err)
		}
	})
}

// end gives the listeners back. Who connects in between is answered by whom they are given to.
func (w *waiting) end() {
	for _, s := range w.servers {
		late, cancel := context.WithTimeout(context.Background(), time.Second)
		if s.Shutdown(late) != nil {
			s.Close()
		}
		cancel()
	}
	w.done.Wait()
	if w.servers == nil {
		return
	}
	for _, l := range []net.Listener{w.node.controlListener, w.node.gatewayListener} {
		if err := (lent{l}).setDeadline(time.Time{}); err != nil {
			w.node.logger.Error("take a listener back", "err", err)
		}
	}
}

// lent is a listener whose Close ends Accept and leaves the port open.
type lent struct{ net.Listener }

func (l lent) Close() error { return l.setDeadline(time.Unix(1, 0)) }

func (l lent) setDeadline(t time.Time) error {
	d, ok := l.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return fmt.Errorf("a %T has no deadline", l.Listener)
	}
	return d.SetDeadline(t)
}

// unlessStopped is err, or nil when ctx is done: to be stopped is no error.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
