package build

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// line is builds that wait one after the other, and the order in which they had their turns.
type line struct {
	queue *queue
	all   sync.WaitGroup

	mu    sync.Mutex
	order []string
	told  map[string]ahead
}

// join lets a build of a scope wait, and leave again at once when it had its turn. synctest.Wait tells that it waits.
func (l *line) join(t *testing.T, name, scope string) {
	l.all.Go(func() {
		leave, err := l.queue.enter(t.Context(), scope, func(before ahead) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.told[name] = before
		})
		if err != nil {
			t.Errorf("enter(%s) = %v", name, err)
			return
		}
		l.mu.Lock()
		l.order = append(l.order, name)
		l.mu.Unlock()
		leave()
	})
	synctest.Wait()
}

func TestWhoBuildsMuchIsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{queue: newQueue(1), told: map[string]ahead{}}
		leave, err := l.queue.enter(t.Context(), "a", func(ahead) { t.Error("the first one has to wait") })
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []struct{ name, scope string }{{"a2", "a"}, {"a3", "a"}, {"b1", "b"}, {"b2", "b"}, {"c1", "c"}} {
			l.join(t, b.name, b.scope)
		}
		leave()
		l.all.Wait()
		if want := []string{"b1", "c1", "a2", "b2", "a3"}; !slices.Equal(l.order, want) {
			t.Errorf("the order is %v, want %v", l.order, want)
		}
		for name, want := range map[string]ahead{"a2": {1, true}, "b1": {3, false}, "b2": {4, true}} {
			if l.told[name] != want {
				t.Errorf("%s was told of %+v, want %+v", name, l.told[name], want)
			}
		}
		if len(l.queue.last) != 0 || l.queue.free != 1 {
			t.Errorf("the queue remembers %v with %d places free", l.queue.last, l.queue.free)
		}
	})
}

func TestOneScopeBuildsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{queue: newQueue(3), told: map[string]ahead{}}
		leave, err := l.queue.enter(t.Context(), "a", func(ahead) { t.Error("the first one has to wait") })
		if err != nil {
			t.Fatal(err)
		}
		l.join(t, "a2", "a")
		l.join(t, "b1", "b")
		if !slices.Equal(l.order, []string{"b1"}) {
			t.Errorf("%v had their turns while a is built, want b1 alone", l.order)
		}
		gone, cancel := context.WithCancel(t.Context())
		l.all.Go(func() {
			if _, err := l.queue.enter(gone, "a", func(ahead) {}); err == nil {
				t.Error("enter of who has gone = nil")
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		leave()
		l.all.Wait()
		if !slices.Equal(l.order, []string{"b1", "a2"}) || l.queue.free != 3 || len(l.queue.waiting) != 0 {
			t.Errorf("the order is %v, with %d places free", l.order, l.queue.free)
		}
	})
}

// TestNoPlaceIsLost lets builds come, leave and give up in any order.
func TestNoPlaceIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.IntRange(1, 3).Draw(t, "places")
		q := newQueue(places)
		var waiting, building []*waiter
		settle := func() {
			waiting = slices.DeleteFunc(waiting, func(w *waiter) bool {
				select {
				case <-w.turn:
					building = append(building, w)
					return true
				default:
					return false
				}
			})
		}
		take := func(from *[]*waiter, name string) *waiter {
			i := rapid.IntRange(0, len(*from)-1).Draw(t, name)
			w := (*from)[i]
			*from = slices.Delete(*from, i, i+1)
			return w
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				w := &waiter{scope: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "scope"), turn: make(chan struct{})}
				waiting = append(waiting, w)
				q.join(w)
			},
			"leave": func(t *rapid.T) {
				if len(building) > 0 {
					q.leave(take(&building, "who leaves").scope)
				}
			},
			"give up": func(t *rapid.T) {
				if len(waiting) > 0 && !q.give(take(&waiting, "who gives up")) {
					t.Error("a turn came and was not given")
				}
			},
			"": func(t *rapid.T) {
				settle()
				scopes := map[string]bool{}
				for _, w := range building {
					if scopes[w.scope] {
						t.Errorf("two of %s are built", w.scope)
					}
					scopes[w.scope] = true
				}
				for _, w := range waiting {
					if len(building) < places && !scopes[w.scope] {
						t.Errorf("%s waits, though %d of %d places are free", w.scope, places-len(building), places)
					}
				}
			},
		})
	})
}
