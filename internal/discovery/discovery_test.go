package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func openLog(t *testing.T) *disk.Log {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	err = l.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicServices, Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func open(t *testing.T, o Options) *Discovery {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *Discovery) must(t *testing.T, r function.Registration) function.ServiceInstance {
	t.Helper()
	i, err := d.Register(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// judged is what the owner does about those who have missed their time.
func (d *Discovery) judged(t *testing.T) (records int, nap time.Duration) {
	t.Helper()
	rs, nap := (&keeper{Discovery: d}).overdue()
	if len(rs) > 0 {
		if err := d.append(t.Context(), rs...); err != nil {
			t.Fatal(err)
		}
	}
	return len(rs), nap
}

func web(instance string) function.Registration {
	return function.Registration{Service: "web", Instance: instance, Address: "10.0.0.7:80", TTL: function.Duration(10 * time.Second)}
}

func TestAnInstanceLivesAsLongAsItsHeartbeatsCome(t *testing.T) {
	c, l := &clock{now: time.Unix(1_000_000, 0)}, openLog(t)
	d := open(t, Options{Log: l, Now: c.Now})
	first := d.must(t, web("a"))
	if !first.Healthy || first.Weight != 1 || first.ID == "" {
		t.Fatalf("registered as %+v", first)
	}
	for range 5 {
		c.pass(9 * time.Second)
		if again := d.must(t, web("a")); again.ID != first.ID {
			t.Fatalf("a heartbeat makes another registration: %+v", again)
		}
		if n, nap := d.judged(t); n != 0 || nap != 10*time.Second {
			t.Fatalf("%d records, and %s until the next look, right after a heartbeat", n, nap)
		}
	}
	if b, err := l.Bounds(t.Context(), partition); err != nil || b.End != 1 {
		t.Errorf("the log has %d records, %v; heartbeats shall leave none", b.End, err)
	}
	c.pass(10 * time.Second)
	if n, _ := d.judged(t); n != 1 {
		t.Fatalf("%d records after the time is over, want 1", n)
	}
	s, err := d.View().Service("web")
	if err != nil {
		t.Fatal(err)
	}
	if i := s.Instances[0]; i.Healthy || i.Reason != "no heartbeat came for 10s" || !i.Since.Equal(c.Now()) || len(s.Healthy()) != 0 {
		t.Errorf("after the time is over: %+v", i)
	}
	if n, _ := d.judged(t); n != 0 {
		t.Errorf("%d records of what is known already", n)
	}
	if i := d.must(t, web("a")); !i.Healthy || i.ID != first.ID || i.Reason != "" {
		t.Errorf("after a late heartbeat: %+v", i)
	}
	c.pass(10 * time.Second)
	d.judged(t)
	c.pass(forget)
	if n, _ := d.judged(t); n != 2 {
		t.Errorf("%d records take one away that is gone for long, want 2", n)
	}
	if _, err := d.View().Service("web"); fault.KindOf(err) != fault.NotFound || d.View().Instances != 0 {
		t.Errorf("it is still there: %v", err)
	}
}

func TestAChangedRegistrationTakesThePlaceOfTheOld(t *testing.T) {
	d := open(t, Options{Log: openLog(t)})
	first := d.must(t, web("a"))
	other := web("a")
	other.Version = "2"
	second := d.must(t, other)
	if second.ID == first.ID || second.Version != "2" || d.View().Instances != 1 {
		t.Fatalf("second registration: %+v of %d", second, d.View().Instances)
	}
	// What was decided about the first has nothing to say about the second.
	if err := d.append(t.Context(), healthChanged(&first, "late", time.Now())); err != nil {
		t.Fatal(err)
	}
	if i, _ := d.View().Instance("web", "a"); !i.Healthy {
		t.Errorf("the health of the registration before counts: %+v", i)
	}
	if err := d.Deregister(t.Context(), "web", "a"); err != nil {
		t.Fatal(err)
	}
	if err := d.append(t.Context(), healthChanged(&second, "late", time.Now())); err != nil {
		t.Fatal(err)
	}
	if _, there := d.View().Instance("web", "a"); there {
		t.Error("a late decision brings an instance back that is gone")
	}
	if err := d.Deregister(t.Context(), "web", "a"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("taken away twice: %v, want not found", err)
	}
}

func TestNodesOfOneLogAgree(t *testing.T) {
	c, l := &clock{now: time.Unix(1_000_000, 0)}, openLog(t)
	a, b := open(t, Options{Log: l, Now: c.Now}), open(t, Options{Log: l, Now: c.Now})
	a.shared, b.shared = true, true
	a.must(t, web("a"))
	if err := b.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored := func() int64 {
		t.Helper()
		bounds, err := l.Bounds(t.Context(), partition)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.CatchUp(t.Context()), b.CatchUp(t.Context())); err != nil {
			t.Fatal(err)
		}
		return bounds.End
	}
	for range 10 { // heartbeats come at b each second, and a is the owner
		c.pass(time.Second)
		b.must(t, web("a"))
		stored()
		if n, _ := a.judged(t); n != 0 {
			t.Fatal("the owner does not know of a heartbeat that another node took")
		}
	}
	if n := stored(); n != 3 {
		t.Errorf("%d records of a registration and ten heartbeats within a time to live, want 3", n)
	}
	c.pass(16 * time.Second)
	if n, _ := a.judged(t); n != 1 {
		t.Errorf("%d records when no heartbeat comes, want 1", n)
	}
	stored()
	if i, _ := b.View().Instance("web", "a"); i.Healthy {
		t.Error("the other node does not know of it")
	}
}

func TestRecordsThatComeTwiceChangeNothing(t *testing.T) {
	l := openLog(t)
	d := open(t, Options{Log: l})
	one := d.must(t, web("a"))
	d.must(t, web("b"))
	if err := d.append(t.Context(), healthChanged(&one, "late", time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := d.Deregister(t.Context(), "web", "b"); err != nil {
		t.Fatal(err)
	}
	s := newState()
	_, err := eventlog.ReadAll(t.Context(), l, partition, func(r *eventlog.Record) error {
		for range 2 {
			if _, _, err := s.fold(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]*View{"each record twice": s.publish(), "a restart": func() *View {
		again := open(t, Options{Log: l})
		if err := again.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		return again.View()
	}()} {
		want, err := d.View().Service("web")
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Service("web")
		if err != nil || v.Instances != 1 || fmt.Sprint(got.Instances) != fmt.Sprint(want.Instances) {
			t.Errorf("%s: %+v, %v of %d, want %+v of 1", name, got, err, v.Instances, want)
		}
	}
}

func TestSinceTellsWhatChangedOrThatItIsNotKnown(t *testing.T) {
	l := openLog(t)
	d := open(t, Options{Log: l})
	d.must(t, function.Registration{Service: "first", Instance: "a", Address: "h:1"}) // which the fold may find there when it begins
	begin := d.View().Offset
	for _, name := range []string{"web", "mail", "web"} {
		d.must(t, function.Registration{Service: name, Instance: "a", Address: "h:1", Version: fmt.Sprint(d.View().Offset)})
	}
	if err := d.Deregister(t.Context(), "mail", "a"); err != nil {
		t.Fatal(err)
	}
	end := d.View().Offset
	for _, c := range []struct {
		since int64
		want  []string
		ok    bool
	}{{begin, []string{"web", "mail"}, true}, {begin + 3, []string{"mail"}, true}, {end, nil, true}, {end + 1, nil, false}} {
		if got, ok := d.View().Since(c.since); ok != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("Since(%d) = %v, %v, want %v, %v", c.since, got, ok, c.want, c.ok)
		}
	}
	again := open(t, Options{Log: l})
	if err := again.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := again.View().Since(end - 1); ok {
		t.Error("a node that has started after a change says that it knows all that went before")
	}
	if got, ok := again.View().Since(end); !ok || got != nil {
		t.Errorf("where nothing has changed: %v, %v", got, ok)
	}
}

func TestAGapAtTheEndMakesNobodyBeginAnew(t *testing.T) {
	s := newState()
	s.began = 3 // the log says that so many were there, and the last two are gaps
	r := registered(web("a"), time.Unix(0, 0))
	if _, _, err := s.fold(&r); err != nil {
		t.Fatal(err)
	}
	if names, ok := s.publish().Since(1); !ok || names != nil {
		t.Errorf("who was behind the last record: %v, %v, want nothing new", names, ok)
	}
	if _, ok := s.publish().Since(0); ok {
		t.Error("who was before it is told that all is known")
	}
	r.Offset = 3
	if _, _, err := s.fold(&r); err != nil {
		t.Fatal(err)
	}
	if names, ok := s.publish().Since(1); !ok || len(names) != 1 {
		t.Errorf("after a new record: %v, %v, want the service", names, ok)
	}
}

func TestTheOwnerRunsChecks(t *testing.T) {
	l := openLog(t)
	var mu sync.Mutex
	var sick error
	d := open(t, Options{Log: l, Probe: func(_ context.Context, r *function.Registration) error {
		mu.Lock()
		defer mu.Unlock()
		return sick
	}})
	own := eventlog.Owned{Partition: partition, Commit: func(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
		return l.Append(ctx, rs)
	}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Keep(ctx, own) }()
	until := func(want func(function.ServiceInstance) bool) {
		t.Helper()
		for {
			changed := d.Changed()
			if i, there := d.View().Instance("db", "a"); there && want(i) {
				return
			}
			select {
			case <-changed:
			case <-time.After(30 * time.Second):
				i, _ := d.View().Instance("db", "a")
				t.Fatalf("waited in vain; it is %+v", i)
			}
		}
	}
	check := function.ServiceCheck{Every: function.Duration(time.Second), Failures: 1}
	i := d.must(t, function.Registration{Service: "db", Instance: "a", Address: "h:1", Check: &check})
	if i.Healthy || i.Reason != notChecked {
		t.Errorf("before its first check: %+v", i)
	}
	until(func(i function.ServiceInstance) bool { return i.Healthy })
	mu.Lock()
	sick = errors.New("/healthz answered 500")
	mu.Unlock()
	until(func(i function.ServiceInstance) bool { return !i.Healthy && i.Reason == "/healthz answered 500" })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) {
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/sick":
			w.WriteHeader(500)
		case "/elsewhere":
			http.Redirect(w, r, "/well", http.StatusFound)
		case "/hangs":
			<-hang
		}
	}))
	defer s.Close()
	defer close(hang)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	for _, c := range []struct{ address, path, want string }{
		{s.Listener.Addr().String(), "/well", ""},
		{s.Listener.Addr().String(), "", ""},
		{s.Listener.Addr().String(), "/sick", "/sick answered 500"},
		{s.Listener.Addr().String(), "/elsewhere", "/elsewhere answered 302"},
		{s.Listener.Addr().String(), "/hangs", "it did not answer in time"},
		{dead.Addr().String(), "", "connect: connection refused"},
		{dead.Addr().String(), "/well", "connect: connection refused"},
	} {
		patience := time.Second * 10
		if c.path == "/hangs" {
			patience = 10 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := newProber().probe(ctx, &function.Registration{Address: c.address, Check: &function.ServiceCheck{Path: c.path}})
		cancel()
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
			t.Errorf("probe of %q = %v, want %q", c.path, err, c.want)
		}
	}
}

func TestInstancesHaveABound(t *testing.T) {
	d := open(t, Options{Log: openLog(t)})
	s := newState()
	s.count = maxInstances
	d.view.Store(s.publish())
	if _, err := d.Register(t.Context(), web("a")); fault.KindOf(err) != fault.Exhausted || !strings.Contains(fault.HintOf(err), "DELETE") {
		t.Errorf("one too many: %v", err)
	}
}

func FuzzFold(f *testing.F) {
	r := registered(web("a"), time.Unix(0, 0))
	f.Add(string(r.Key), r.Value, "dalamb.service.registered.v1")
	f.Add("web/a/health", []byte(`{"service":"web","instance":"a","id":"x","reason":"y"}`), "dalamb.service.healthchanged.v1")
	f.Add("/", []byte(`null`), "")
	f.Fuzz(func(t *testing.T, k string, value []byte, typ string) {
		s := newState()
		if _, _, err := s.fold(&r); err != nil {
			t.Fatal(err)
		}
		one := eventlog.Record{Topic: function.TopicServices, Key: []byte(k), Value: value, Headers: slices.Clone(r.Headers), Offset: 1}
		for i := range one.Headers {
			if one.Headers[i].Name == "ce_type" {
				one.Headers[i].Value = []byte(typ)
			}
		}
		_, _, _ = s.fold(&one) // what it is, is its own matter; the state stays one that adds up
		n := 0
		for _, service := range s.publish().Services() {
			if n += len(service.Instances); len(service.Instances) == 0 {
				t.Errorf("service %q has no instances", service.Name)
			}
		}
		if v := s.publish(); v.Instances != n {
			t.Errorf("%d instances, and the count says %d", n, v.Instances)
		}
	})
}

// behind is a log whose reads end with their context, as Kafka's do.
type behind struct{ eventlog.Log }

func (behind) Bounds(ctx context.Context, _ eventlog.Partition) (eventlog.Bounds, error) {
	<-ctx.Done()
	return eventlog.Bounds{}, ctx.Err()
}

func TestAFoldThatIsEndedBeforeItBeganEnds(t *testing.T) {
	d, err := New(Options{Log: behind{openLog(t)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Run = %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run goes on")
	}
}
