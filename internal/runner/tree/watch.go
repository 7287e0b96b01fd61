package tree

import (
	"log/slog"
	"sync"
	"time"
)

// Watch looks at all processes every now and then, from Begin to End. It is for limits that the system does not keep by itself.
type Watch struct {
	Every   time.Duration
	Log     *slog.Logger
	Measure func() []func(all []Process) // what wants to see the next snapshot; none = no snapshot is taken

	mu   sync.Mutex
	stop chan struct{} // nil before Begin
	over sync.WaitGroup
}

// Begin starts looking; a second call does nothing.
func (w *Watch) Begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop == nil {
		w.stop = make(chan struct{})
		w.over.Go(func() { w.run(w.stop) })
	}
}

// End stops looking and waits until that is so. It is called once, and Begin not after it.
func (w *Watch) End() {
	w.mu.Lock()
	if w.stop != nil {
		close(w.stop)
	}
	w.mu.Unlock()
	w.over.Wait()
}

func (w *Watch) run(stop <-chan struct{}) {
	t := time.NewTicker(w.Every)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		wanted := w.Measure()
		if len(wanted) == 0 {
			continue
		}
		all, err := Snapshot()
		if err != nil && !failing {
			w.Log.Warn("sizes of functions not known", "err", err)
		}
		failing = err != nil
		for _, measure := range wanted {
			if err == nil {
				measure(all)
			}
		}
	}
}
