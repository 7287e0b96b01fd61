package gateway

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/dalamb/dalamb/internal/freshness"
)

// maxRecent bounds what a route's cache knows of requests whose answers it does not hold; of more, all are forgotten.
const maxRecent = 10_000

// answers are those that are kept of one route, on this node. Safe for concurrent use.
type answers struct {
	function, trigger string

	kept *otter.Cache[digest, *keptAnswer]
	most int64 // bytes, as the route has it

	mu      sync.RWMutex
	ticks   uint64 // counts what is purged, and so says what was asked for before that
	floor   uint64 // what was asked for up to here is purged
	places  map[digest]*place
	flights map[digest]*flight
	recent  map[digest]recent
}

// digest stands for a request, or for a place.
type digest [sha256.Size]byte

// place is a path, or a path of one host, of which an answer is kept or under way. What is not one needs no purge, so clients cannot make more of
// them than the cache has room for.
type place struct {
	holders int    // answers that are kept, and requests under way
	purged  uint64 // what was asked for up to here is
}

// places are the two that an answer belongs to.
type places struct{ path, ofHost digest }

func placesOf(host, path string) places {
	return places{path: sha256.Sum256([]byte(path)), ofHost: sha256.Sum256([]byte(host + "\x00" + path))}
}

// keptAnswer is one answer with its body. It never changes.
type keptAnswer struct {
	*freshness.Kept
	body    []byte
	version string // of the function, with those that share its traffic
	places  places
	ticks   uint64 // when it was asked for
}

// flight is a request under way whose answer others wait for.
type flight struct {
	done   chan struct{}
	failed bool // before done is closed

	followers int // who waited; under the answers' mu
}

// recent is what is known of a request whose answer was not kept.
type recent struct {
	until  time.Time
	failed bool
}

func newAnswers(function, trigger string, most int64) *answers {
	a := &answers{function: function, trigger: trigger, most: most, places: map[digest]*place{}, flights: map[digest]*flight{}, recent: map[digest]recent{}}
	a.kept = otter.Must(&otter.Options[digest, *keptAnswer]{
		MaximumWeight:    uint64(most),
		Weigher:          func(_ digest, k *keptAnswer) uint32 { return k.weight() },
		OnAtomicDeletion: func(e otter.DeletionEvent[digest, *keptAnswer]) { a.release(e.Value.places) },
	})
	return a
}

// weight is about what an answer takes of memory.
func (k *keptAnswer) weight() uint32 {
	n := 512 + len(k.body)
	for name, values := range k.Header {
		n += 64 + len(name)
		for _, v := range values {
			n += 16 + len(v)
		}
	}
	return uint32(min(n, 1<<31))
}

// largest is how long an answer may be that is kept: so long that several have room.
func (a *answers) largest() int64 { return a.most / 4 }

// keyOf is what a request asks for: exactly what the function sees of it, since two requests that are spelled differently may mean different things to it.
func keyOf(r *http.Request, vary []string, who string) digest {
	h := sha256.New()
	part := func(s string) {
		_, _ = h.Write([]byte(s)) // a hash takes all
		_, _ = h.Write([]byte{0})
	}
	part(r.URL.Scheme) // the client's, which a proxy may know better than the connection
	part(r.Host)
	part(r.URL.RequestURI())
	part(who)
	for _, v := range freshness.SelectedBy(r.Header, vary) {
		part(v)
	}
	var d digest
	h.Sum(d[:0])
	return d
}

// find is the answer that is kept; nil = none.
func (a *answers) find(key digest) *keptAnswer {
	k, ok := a.kept.GetIfPresent(key)
	if !ok {
		return nil
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.gone(k) {
		return nil
	}
	return k
}

// gone is called under mu.
func (a *answers) gone(k *keptAnswer) bool {
	return k.ticks < a.floor || k.ticks < a.purged(k.places.path) || k.ticks < a.purged(k.places.ofHost)
}

// purged is called under mu.
func (a *answers) purged(at digest) uint64 {
	if p := a.places[at]; p != nil {
		return p.purged
	}
	return 0
}

// hold remembers what is purged of these places until they are released: for as long as an answer is kept or under way. Who holds
// answers' mu calls nothing of kept, which calls release.
func (a *answers) hold(these places) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range []digest{these.path, these.ofHost} {
		p := a.places[at]
		if p == nil {
			p = &place{}
			a.places[at] = p
		}
		p.holders++
	}
}

func (a *answers) release(these places) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range []digest{these.path, these.ofHost} {
		if p := a.places[at]; p.holders > 1 {
			p.holders--
		} else {
			delete(a.places, at)
		}
	}
}

// now is a moment among the purges: an answer that is asked for now is not touched by those before it.
func (a *answers) now() uint64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.ticks
}

// keep stores an answer, unless what it was asked for is purged meanwhile. The caller holds its places.
func (a *answers) keep(key digest, k *keptAnswer) {
	a.mu.RLock()
	gone := a.gone(k)
	a.mu.RUnlock()
	if !gone {
		a.hold(k.places)
		a.kept.Set(key, k)
	}
}

// purge empties the cache of one place, whatever the query and whoever asked. Answers that are under way are not kept.
func (a *answers) purge(at digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.places[at]; p != nil {
		a.ticks++
		p.purged = a.ticks
	}
}

// purgeAll empties the cache. Answers that are under way are not kept.
func (a *answers) purgeAll() {
	a.mu.Lock()
	a.ticks++
	a.floor = a.ticks
	a.mu.Unlock()
	a.kept.InvalidateAll()
}

// How long a request is remembered whose answer was not kept.
const (
	recentlyPassed = 10 * time.Second // others of its kind do not wait for each other
	recentlyFailed = time.Second      // what is stale is given without asking again
)

// board gives the flight of a request, and says whether this one leads it. nil where none is to wait: the answers to such requests are not kept.
func (a *answers) board(key digest, now time.Time) (f *flight, leads bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f = a.flights[key]; f != nil {
		f.followers++
		return f, false
	}
	if one, known := a.recent[key]; known && !one.failed && now.Before(one.until) {
		return nil, true
	}
	f = &flight{done: make(chan struct{})}
	a.flights[key] = f
	return f, true
}

// How a flight ends.
type ending int

const (
	endKept   ending = iota
	endPassed        // the answer was not kept
	endFailed        // there was none, or an error
)

// land ends a flight that leads; a second time it does nothing. f may be nil.
func (a *answers) land(key digest, f *flight, how ending, now time.Time) {
	if f == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flights[key] != f {
		return
	}
	delete(a.flights, key)
	if len(a.recent) >= maxRecent {
		clear(a.recent)
	}
	switch how {
	case endKept:
		delete(a.recent, key)
	case endPassed:
		a.recent[key] = recent{until: now.Add(recentlyPassed)}
	case endFailed:
		a.recent[key] = recent{until: now.Add(recentlyFailed), failed: true}
	}
	f.failed = how == endFailed
	close(f.done)
}

// failing says whether the function has failed to answer such a request a moment ago.
func (a *answers) failing(key digest, now time.Time) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	one, known := a.recent[key]
	return known && one.failed && now.Before(one.until)
}

// shareRoom gives each cache its part where all together would take more than the node has for them.
func shareRoom(all []*answers, room int64) {
	wanted := int64(0)
	for _, a := range all {
		wanted += a.most
	}
	for _, a := range all {
		part := a.most
		if wanted > room {
			part = int64(float64(a.most) / float64(wanted) * float64(room))
		}
		a.kept.SetMaximum(uint64(part))
	}
}

// cachesOf are the caches of the routes whose state is on a shelf.
func cachesOf(s *shelf) []*answers {
	var all []*answers
	for _, state := range s.now {
		if a, is := state.(*answers); is {
			all = append(all, a)
		}
	}
	return all
}

// Purge empties the caches of a function's routes on this node; trigger and path may be "" for all. Answers that are under way are not kept.
func (g *Gateway) Purge(function, trigger, path string) {
	rs := g.routes.Load()
	if rs == nil {
		return // nothing was asked for yet
	}
	for _, a := range rs.caches {
		switch {
		case a.function != function || trigger != "" && a.trigger != trigger:
		case path == "":
			a.purgeAll()
		default:
			a.purge(placesOf("", path).path)
		}
	}
}

// invalidate drops what is kept of the path of a request that has changed it, on any route of that host. RFC 9111, section 4.4.
func (rs *routes) invalidate(host, method, path string, status int) {
	if len(rs.caches) == 0 || !freshness.Invalidates(method, status) {
		return
	}
	at := placesOf(host, path).ofHost
	for _, a := range rs.caches {
		a.purge(at)
	}
}

// credentialFields are the fields by which a function may know who asks.
func credentialFields() []string { return []string{"Authorization", "Cookie"} }
