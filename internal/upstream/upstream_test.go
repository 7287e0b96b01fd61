package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// still is a catalog in which nothing happens.
type still struct{ view catalog.View }

func (s *still) View() *catalog.View      { return &s.view }
func (s *still) Changed() <-chan struct{} { return nil }

// pool is one of some servers, that nobody checks.
func pool(t testing.TB, rule function.Upstream, servers ...Server) *Pool {
	t.Helper()
	u, err := New(Options{Catalog: &still{}, MaxAnswer: 1 << 20, Services: func(string) ([]function.ServiceInstance, <-chan struct{}) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(u, settings{function: "f", trigger: "r", rule: &rule, connect: time.Second, within: 5 * time.Second})
	p.take(servers)
	return p
}

func numbered(n int) []Server {
	var list []Server
	for i := range n {
		list = append(list, Server{Scheme: "http", Address: fmt.Sprintf("10.0.0.%d:80", i), Named: byDeveloper})
	}
	return list
}

func of(url string) Server {
	return Server{Scheme: "http", Address: strings.TrimPrefix(url, "http://"), Named: byDeveloper}
}

// chosen are how often each server is chosen of so many requests, each over before the next.
func chosen(t testing.TB, p *Pool, requests int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range requests {
		m, err := p.Begin().choose(httptest.NewRequest("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		counts[m.id()]++
		m.end(good)
	}
	return counts
}

func TestHowServersAreChosen(t *testing.T) {
	three := numbered(3)
	three[2].Weight = 4
	const a, b, c = "http://10.0.0.0:80", "http://10.0.0.1:80", "http://10.0.0.2:80"
	for _, x := range []struct {
		rule  function.Upstream
		want  map[string]int
		about int // how far each may be off
	}{
		{function.Upstream{}, map[string]int{a: 200, b: 200, c: 200}, 0},
		{function.Upstream{Balance: function.BalanceWeighted}, map[string]int{a: 100, b: 100, c: 400}, 0},
		{function.Upstream{Balance: function.BalanceRandom}, map[string]int{a: 200, b: 200, c: 200}, 80},
		{function.Upstream{Balance: function.BalanceHash, By: "header:X"}, map[string]int{a: 100, b: 100, c: 400}, 80}, // none has the field: anywhere
	} {
		got := chosen(t, pool(t, x.rule, three...), 600)
		for server, want := range x.want {
			if n := got[server]; n < want-x.about || n > want+x.about {
				t.Errorf("%s: %s got %d of 600 requests, want %d", x.rule.Algorithm(), server, n, want)
			}
		}
	}
}

// TestTheLessLoadedOfTwo: servers that never answer get no more than the others.
func TestTheLessLoadedOfTwo(t *testing.T) {
	p := pool(t, function.Upstream{Balance: function.BalanceLeastLoaded}, numbered(2)...)
	counts := map[*member]int{}
	for range 100 {
		m, err := p.Begin().choose(httptest.NewRequest("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		counts[m]++
	}
	for m, n := range counts {
		if n != 50 {
			t.Errorf("%s has %d of 100 requests under way, want half", m.id(), n)
		}
	}
}

// TestKeysStay: when a server leaves only its own keys move, when one comes only those that it gets; and each has about its part of them.
func TestKeysStay(t *testing.T) {
	const keys = 2000
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 20).Draw(t, "servers")
		gone := rapid.IntRange(0, n-1).Draw(t, "gone")
		p := &Pool{}
		var all, rest []candidate
		for i := range n {
			c := candidate{&member{pool: p, hash: hashOf(fmt.Sprint("server ", i))}, load{usable: true, weight: 1}}
			all = append(all, c)
			if i != gone {
				rest = append(rest, c)
			}
		}
		moved, counts := 0, map[*member]int{}
		for k := range keys {
			key := hashOf(fmt.Sprint("key ", k))
			before, after := byHash(all, key), byHash(rest, key)
			counts[before]++
			if before != after {
				moved++
				if before != all[gone].m {
					t.Fatalf("key %d moved from a server that stays", k)
				}
			}
		}
		if most := keys/n + keys/10; moved > most {
			t.Fatalf("%d of %d keys moved when one of %d servers left, want at most %d", moved, keys, n, most)
		}
		for m, c := range counts {
			if c < keys/n/2 || c > keys/n*2 {
				t.Fatalf("%p has %d of %d keys, want about %d", m, c, keys, keys/n)
			}
		}
	})
}

// TestABusyKeyIsSpread: requests of one key that all are under way do not bury the server of that key.
func TestABusyKeyIsSpread(t *testing.T) {
	p := pool(t, function.Upstream{Balance: function.BalanceHash, By: "path"}, numbered(4)...)
	counts := map[*member]int{}
	for range 100 {
		m, err := p.Begin().choose(httptest.NewRequest("GET", "/hot", nil))
		if err != nil {
			t.Fatal(err)
		}
		counts[m]++
	}
	for m, n := range counts {
		if n > 32 { // 1.25 times a fourth of 100
			t.Errorf("%s has %d of 100 requests of one key, want at most 32", m.id(), n)
		}
	}
}

func TestKeysOfRequests(t *testing.T) {
	r := httptest.NewRequest("GET", "/a?b", nil)
	r.Header.Set("X-User", "alice")
	r.AddCookie(&http.Cookie{Name: "id", Value: "7"})
	r.RemoteAddr = "192.0.2.1:1234"
	for by, want := range map[function.HashBy]string{"path": "/a", "ip": "192.0.2.1", "header:X-User": "alice", "cookie:id": "7"} {
		if keyOf(by, r) != hashOf(want) {
			t.Errorf("the key by %s is not that of %s", by, want)
		}
	}
	if first, second := keyOf("cookie:other", r), keyOf("cookie:other", r); first == second {
		t.Error("requests without a key have the same one, want them anywhere")
	}
}

// TestServersThatAreLeftOut: by checks, by their source, because they are full; and what happens when that leaves nobody.
func TestServersThatAreLeftOut(t *testing.T) {
	three := numbered(3)
	three[0].Unwell = "no heartbeat"
	p := pool(t, function.Upstream{Requests: 1}, three...)
	all := *p.members.Load()
	all[1].learn(errors.New("it answered 500"), 1, 1)
	ask := func() (*member, error) { return p.Begin().choose(httptest.NewRequest("GET", "/", nil)) }
	m, err := ask()
	if err != nil || m != all[2] {
		t.Fatalf("choose = %v, %v, want the one that is well", m, err)
	}
	for range 2 { // it has what it may: the others are tried, though they are not well
		if m, err := ask(); err != nil || m == all[2] {
			t.Fatalf("choose = %v, %v, want another one", m, err)
		}
	}
	if _, err := ask(); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "as many requests as they may") {
		t.Errorf("choose = %v, want that all are full", err)
	}
	if got := p.state(); got.Servers[0].State != stateUnhealthy || got.Servers[0].Reason != "no heartbeat" || got.Servers[1].Reason != "it answered 500" || got.Servers[2].State != stateHealthy || got.Servers[2].Active != 1 {
		t.Errorf("state = %+v", got.Servers)
	}
	p.take(nil)
	if _, err := ask(); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "has no servers") {
		t.Errorf("choose = %v, want that there are none", err)
	}
}

func TestWhatChecksFind(t *testing.T) {
	bad := errors.New("it answered 500")
	m := &member{}
	for i, c := range []struct {
		err  error
		well bool
	}{
		{nil, true}, {bad, true}, {bad, true}, {bad, false}, // three bad ones
		{nil, false}, {bad, false}, {nil, false}, {nil, true}, // two good ones
		{bad, true}, {nil, true}, {bad, true}, {bad, true}, {bad, false},
	} {
		if _, is := m.learn(c.err, 2, 3); (is == "") != c.well {
			t.Fatalf("check %d (%v): why it is unwell = %q, want well %t", i, c.err, is, c.well)
		}
	}
	if m = new(member); !m.checks(false) {
		t.Error("a new server was checked")
	}
	if _, is := m.learn(bad, 2, 3); is == "" {
		t.Error("the first check of a server does not decide")
	}
}

// TestServersAreEjected: for longer each time, never more of them than may be, and taken again when it is over.
func TestServersAreEjected(t *testing.T) {
	now := time.Unix(1000, 0)
	p := pool(t, function.Upstream{Eject: &function.UpstreamEject{Failures: 3, For: function.Duration(time.Minute), Max: 50}}, numbered(3)...)
	p.up.o.Now = func() time.Time { return now }
	all := *p.members.Load()
	fail := func(m *member, times int) {
		for range times {
			m.begin()
			m.end(failed)
		}
	}
	fail(all[0], 2)
	all[0].begin()
	all[0].end(good)
	fail(all[0], 2)
	all[0].begin()
	all[0].end(neither)
	if all[0].ejectedAt(now) {
		t.Fatal("a server that failed twice in a row is ejected, want three times")
	}
	fail(all[0], 1)
	if !all[0].ejectedAt(now) {
		t.Fatal("a server that failed three times in a row is not ejected")
	}
	if fail(all[1], 3); all[1].ejectedAt(now) {
		t.Error("two of three servers are ejected, want half at most")
	}
	if got := p.state().Servers[0]; got.State != stateEjected || !got.Until.Equal(now.Add(time.Minute)) {
		t.Errorf("state = %+v, want ejected for a minute", got)
	}
	if got := chosen(t, p, 20); got[all[0].id()] != 0 {
		t.Errorf("an ejected server got %d requests", got[all[0].id()])
	}
	for i, want := range []time.Duration{2, 3} { // it fails again as soon as it is back
		now = now.Add(time.Duration(i+1)*time.Minute + time.Second)
		fail(all[0], 3)
		if !all[0].ejectedAt(now.Add(want*time.Minute-time.Second)) || all[0].ejectedAt(now.Add(want*time.Minute)) {
			t.Errorf("ejection %d is not of %d minutes", i+2, want)
		}
	}
	now = now.Add(time.Hour)
	if fail(all[0], 3); all[0].ejectedAt(now.Add(time.Minute)) {
		t.Error("a server that was well for long is left out longer than the first time")
	}
}

// TestADeadServerCostsNothing: who cannot be reached got nothing, so another server gets the request, whatever the method. One that fails again and again is left out.
func TestADeadServerCostsNothing(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method) }))
	defer live.Close()
	rule := function.Upstream{Eject: &function.UpstreamEject{Failures: 2, For: function.Duration(time.Minute), Max: 50}}
	p := pool(t, rule, of("http://"+dead.Addr().String()), of(live.URL))
	for range 10 {
		res, err := p.Begin().Invoke(t.Context(), &function.Invocation{ID: "1", Run: "1", Request: httptest.NewRequest("POST", "/", strings.NewReader("x"))})
		if err != nil || res.Status != 200 || string(res.Body) != "POST" || res.Instance != live.URL {
			t.Fatalf("Invoke = %+v, %v, want the live server's answer", res, err)
		}
	}
	for _, s := range p.state().Servers {
		if s.Address == live.URL && s.Requests != 10 || s.Address != live.URL && (s.Requests != 2 || s.State != stateEjected) {
			t.Errorf("server %+v, want 10 requests of the live one, 2 of the dead one", s)
		}
	}
}

func TestAServerThatHangs(t *testing.T) {
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer s.Close()
	defer close(over)
	p := pool(t, function.Upstream{}, of(s.URL))
	p.within = 30 * time.Millisecond
	res, err := p.Begin().Invoke(t.Context(), &function.Invocation{ID: "1", Run: "1", Request: httptest.NewRequest("GET", "/", nil)})
	if err != nil || res.Outcome != function.TimedOut || res.Status != 504 {
		t.Errorf("Invoke = %+v, %v, want a time-out", res, err)
	}
	if got := p.state().Servers[0]; got.Failures != 1 || got.Active != 0 {
		t.Errorf("the server = %+v, want one failure", got)
	}
}

// TestCheckedServers: a real one that goes and comes back. While it is asked, what came of the last time is known.
func TestCheckedServers(t *testing.T) {
	asked, sick := make(chan struct{}), make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		if <-sick || r.URL.Path != "/healthz" {
			w.WriteHeader(500)
		}
	}))
	defer s.Close()
	p := pool(t, function.Upstream{Check: &function.UpstreamCheck{Path: "/healthz", Every: function.Duration(time.Millisecond), Timeout: function.Duration(time.Minute), Healthy: 2, Unhealthy: 2}}, of(s.URL))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	work.Go(func() { p.check(ctx) })
	for i, c := range []struct {
		state  string // by then
		answer bool   // that it is sick
	}{
		{stateHealthy, true}, // nobody knows it yet
		{stateUnhealthy, false},
		{stateUnhealthy, false},
		{stateHealthy, true},
		{stateHealthy, true},
		{stateUnhealthy, false},
	} {
		<-asked
		got := p.state().Servers[0]
		if got.State != c.state || (got.Reason == "/healthz answered 500") != (c.state == stateUnhealthy) {
			t.Errorf("ahead of check %d the server is %+v, want %s", i, got, c.state)
		}
		if i == 5 {
			stop()
		}
		sick <- c.answer
	}
	work.Wait()
}

// shaky is a source that fails when it is told to.
type shaky struct {
	list  []Server
	calls atomic.Int64
	fail  chan error
}

func (s *shaky) Watch(ctx context.Context, take func([]Server)) error {
	if s.calls.Add(1) != 2 {
		take(s.list)
	}
	select {
	case err := <-s.fail:
		return err
	case <-ctx.Done():
		return nil
	}
}

// TestTheLastListHolds while its source is gone, and the source is asked again.
func TestTheLastListHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, function.Upstream{})
		source := &shaky{list: numbered(2), fail: make(chan error)}
		p.source = source
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { p.feed(ctx) })
		synctest.Wait()
		source.fail <- errors.New("the directory burns")
		synctest.Wait()
		if got := p.state(); len(got.Servers) != 2 || got.Lost != "the directory burns" {
			t.Errorf("state = %+v, want two servers and why the source is gone", got)
		}
		time.Sleep(firstAgain)
		synctest.Wait()
		if got := source.calls.Load(); got != 2 {
			t.Errorf("the source was asked %d times, want again after %s", got, firstAgain)
		}
		source.fail <- errors.New("it burns")
		time.Sleep(firstAgain + time.Millisecond)
		synctest.Wait()
		if got := source.calls.Load(); got != 2 {
			t.Errorf("the source was asked %d times, want a longer wait the second time", got)
		}
		time.Sleep(firstAgain)
		synctest.Wait()
		if got := p.state(); source.calls.Load() != 3 || got.Lost != "" {
			t.Errorf("state = %+v, want a source that is there again", got)
		}
		stop()
		work.Wait()
	})
}

// TestServersComeAndGo: one that stays keeps what is known of it, and one that leaves finishes what it has.
func TestServersComeAndGo(t *testing.T) {
	p := pool(t, function.Upstream{}, numbered(3)...)
	before := *p.members.Load()
	before[0].learn(errors.New("no"), 1, 1)
	before[2].begin()
	next := numbered(2)
	next[1].Weight = 7
	p.take(append(next, next[0]))
	now := *p.members.Load()
	if len(now) != 2 || now[0] != before[0] || now[1] != before[1] || now[0].unwell == "" || now[1].load(time.Now()).weight != 7 {
		t.Errorf("members = %v, want the same two, one unwell, one heavier", now)
	}
	if !before[2].retired {
		t.Error("a server that left is not retired")
	}
	before[2].end(good)
	many := numbered(200)
	for i := range many {
		for j := range 6 {
			s := many[i]
			s.Address = fmt.Sprintf("10.1.%d.%d:80", j, i)
			many = append(many, s)
		}
	}
	p.take(many)
	if got := len(*p.members.Load()); got != function.MaxUpstreamServers || len(p.state().Left) != 1 {
		t.Errorf("%d servers are taken and %v told, want the bound", got, p.state().Left)
	}
}

func TestWhatMayBeConnectedTo(t *testing.T) {
	p := pool(t, function.Upstream{})
	p.up.o.Permit = func(a netip.Addr) bool { return a == netip.MustParseAddr("127.9.9.9") }
	for _, c := range []struct {
		named   trust
		host    string
		address string
		allowed bool
	}{
		{byAnybody, "10.0.0.1", "10.0.0.1", true},
		{byAnybody, "8.8.8.8", "8.8.8.8", true},
		{byAnybody, "127.0.0.1", "127.0.0.1", false},
		{byAnybody, "127.9.9.9", "127.9.9.9", true},
		{byAnybody, "::1", "::1", false},
		{byAnybody, "a.example", "::ffff:127.0.0.1", false},
		{byAnybody, "localhost", "127.0.0.1", false},
		{byAnybody, "169.254.169.254", "169.254.169.254", false},
		{byAnybody, "a.example", "fe80::1%eth0", false},
		{byAnybody, "a.example", "fd00:ec2::254", false},
		{byAnybody, "a.example", "168.63.129.16", false},
		{byAnybody, "0.0.0.0", "0.0.0.0", false},
		{byAnybody, "a.example", "224.0.0.1", false},
		{byService, "127.0.0.1", "127.0.0.1", true},
		{byService, "a.example", "127.0.0.1", false},
		{byService, "169.254.169.254", "169.254.169.254", false},
		{byDeveloper, "127.0.0.1", "127.0.0.1", true},
		{byDeveloper, "localhost", "127.0.0.1", true},
		{byDeveloper, "a.example", "127.0.0.1", false},
		{byDeveloper, "169.254.169.254", "169.254.169.254", true},
		{byDeveloper, "a.example", "169.254.169.254", false},
	} {
		s := Server{Scheme: "http", Address: net.JoinHostPort(c.host, "80"), Named: c.named}
		if err := p.reachable(&s, netip.MustParseAddr(c.address)); (err == nil) != c.allowed {
			t.Errorf("a server %s named by %d at %s: %v, want allowed %t", c.host, c.named, c.address, err, c.allowed)
		}
	}
	p.take([]Server{{Scheme: "http", Address: "127.0.0.1:80"}, {Scheme: "http", Address: "10.0.0.1:80"}})
	if got := p.state(); len(got.Servers) != 1 || len(got.Left) != 1 || !strings.Contains(got.Left[0], "127.0.0.1:80: 127.0.0.1 is the node itself") {
		t.Errorf("state = %+v, want one server and why the other is left out", got)
	}
}

// TestNobodyWaitsForServersThatAreUnknown longer than the request does.
func TestNobodyWaitsForServersThatAreUnknown(t *testing.T) {
	p := pool(t, function.Upstream{})
	p.known = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Begin().Invoke(ctx, &function.Invocation{Request: httptest.NewRequest("GET", "/", nil)}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Invoke = %v, want unavailable", err)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, algorithm := range []function.Balance{function.BalanceRoundRobin, function.BalanceLeastLoaded, function.BalanceHash} {
		b.Run(string(algorithm), func(b *testing.B) {
			p := pool(b, function.Upstream{Balance: algorithm, By: "path"}, numbered(100)...)
			r := httptest.NewRequest("GET", fmt.Sprint("/", rand.Int()), nil)
			for b.Loop() {
				m, err := p.Begin().choose(r)
				if err != nil {
					b.Fatal(err)
				}
				m.end(good)
			}
		})
	}
}

// meanwhile is a catalog in which something happens while its view is read.
type meanwhile struct {
	still
	happens func()
}

func (m *meanwhile) View() *catalog.View {
	if f := m.happens; f != nil {
		m.happens = nil
		f()
	}
	return &m.view
}

// TestAPoolOfANewerViewStays: who follows an older one at that moment does not forget it, and is woken to run it.
func TestAPoolOfANewerViewStays(t *testing.T) {
	c := &meanwhile{}
	u, err := New(Options{Catalog: c, MaxAnswer: 1, Services: func(string) ([]function.ServiceInstance, <-chan struct{}) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	newer := &catalog.Trigger{Function: "f", Trigger: function.Trigger{Name: "r", Route: &function.Route{Upstream: &function.Upstream{Service: "s"}}}}
	c.happens = func() { u.Pool(newer) }
	if u.follow(); len(u.all()) != 1 || len(u.wake) != 1 {
		t.Errorf("%d pools are known and %d wake-ups wait, want the one that was just made and its own", len(u.all()), len(u.wake))
	}
	if u.follow(); len(u.all()) != 0 {
		t.Error("a pool that no route wants is kept")
	}
}

// TestANewServerIsCheckedAtOnce although others hang, and a stop begins no more checks.
func TestANewServerIsCheckedAtOnce(t *testing.T) {
	asked, over := make(chan bool, 4*mostChecks), make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- false
		<-over
	}))
	defer hang.Close()
	fresh := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- true }))
	defer fresh.Close()
	hanging := func(n int) (list []Server) {
		for i := range n {
			list = append(list, Server{Scheme: "http", Address: fmt.Sprintf("hang%d.invalid:80", i), Named: byDeveloper})
		}
		return list
	}
	check := func(n int) (p *Pool, stop func()) {
		p = pool(t, function.Upstream{Check: &function.UpstreamCheck{Path: "/", Every: function.Duration(time.Hour), Timeout: function.Duration(time.Minute), Healthy: 1, Unhealthy: 1}}, hanging(n)...)
		for _, m := range *p.members.Load() {
			m.remote = entry.NewRemote(entry.RemoteOptions{Host: "hang", Keep: 1, MaxAnswer: 1, Dial: func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", hang.Listener.Addr().String())
			}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { p.check(ctx) })
		for range mostChecks {
			<-asked
		}
		return p, func() {
			cancel()
			close(over)
			work.Wait()
		}
	}
	p, stop := check(mostChecks + 8)
	p.take(append(hanging(mostChecks+8), of(fresh.URL)))
	for n := 0; !<-asked; n++ {
		if n == 8 {
			t.Fatal("all others are checked before the new one")
		}
	}
	stop()
	for len(asked) > 0 {
		<-asked
	}
	over = make(chan struct{})
	_, stop = check(2 * mostChecks)
	if stop(); len(asked) != 0 {
		t.Errorf("%d checks begin after the stop", len(asked))
	}
}

// TestAWeightWithoutMeasure of a directory does not overflow.
func TestAWeightWithoutMeasure(t *testing.T) {
	two := numbered(2)
	two[0].Weight, two[1].Weight = 1<<62, 1<<62
	got := chosen(t, pool(t, function.Upstream{Balance: function.BalanceHash, By: "path"}, two...), 1)
	if len(got) != 1 {
		t.Errorf("chosen are %v, want one", got)
	}
}

// TestAnotherServerFirst: a request does not go back to one where it was, though the others are unwell.
func TestAnotherServerFirst(t *testing.T) {
	p := pool(t, function.Upstream{}, numbered(2)...)
	all := *p.members.Load()
	all[1].learn(errors.New("no"), 1, 1)
	turn := p.Begin()
	for i, want := range []*member{all[0], all[1], all[0]} {
		if m, err := turn.choose(httptest.NewRequest("GET", "/", nil)); err != nil || m != want {
			t.Errorf("attempt %d goes to %v, %v, want %s", i+1, m, err, want.id())
		}
	}
}

// TestAPoolThatEndsServesWhoHasIt by HTTP/2, whose connections would all be closed.
func TestAPoolThatEndsServesWhoHasIt(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	to := of(s.URL)
	to.Scheme = function.UpstreamH2C
	p := pool(t, function.Upstream{}, to)
	p.source = &shaky{list: []Server{to}}
	turn := p.Begin()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	p.run(over)
	res, err := turn.Invoke(t.Context(), &function.Invocation{ID: "1", Run: "1", Request: httptest.NewRequest("GET", "/", nil)})
	if err != nil || res.Status != 200 {
		t.Errorf("Invoke = %+v, %v, want an answer", res, err)
	}
}
