package callback

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
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

// world is a log with one partition of callbacks, and whoever keeps it.
type world struct {
	t   *testing.T
	log *disk.Log
	o   Options
}

var own = eventlog.Partition{Topic: function.TopicCallbacks, ID: 0}

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: own.Topic, Partitions: 1, Compact: true}); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, log: l, o: Options{
		Log:    l,
		State:  func(_ context.Context, run string) ([]byte, error) { return []byte(`{"id":"` + run + `"}`), nil },
		Secret: func(string) ([]byte, int64, error) { return []byte("key\n"), 1, nil },
		Allow:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Waits:  []time.Duration{time.Millisecond, time.Millisecond},
	}}
}

// keep keeps the partition until stop is called.
func (w *world) keep() (stop func()) {
	w.t.Helper()
	k, err := New(w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() {
		if err := k.Keep(ctx, eventlog.Owned{Partition: own, Commit: w.log.Append}); err != nil {
			w.t.Errorf("Keep = %v", err)
		}
	})
	return sync.OnceFunc(func() { cancel(); keeping.Wait() })
}

func (w *world) ask(run, url string) {
	w.t.Helper()
	value, err := json.Marshal(function.Callback{Function: "f", URL: url, Secret: "s"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(eventlog.Record{Topic: own.Topic, Partition: 0, Key: []byte(run), Value: value})
}

func (w *world) append(rs ...eventlog.Record) {
	w.t.Helper()
	if _, err := w.log.Append(context.Background(), rs); err != nil {
		w.t.Fatal(err)
	}
}

// settled waits until the log says of so many that they are over.
func (w *world) settled(n int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for at := int64(0); n > 0; {
		rs, err := w.log.Read(ctx, own, at, eventlog.ReadOptions{})
		if err != nil {
			w.t.Fatalf("%d callbacks are not over: %v", n, err)
		}
		for _, r := range rs {
			if at = r.Offset + 1; r.Value == nil {
				n--
			}
		}
	}
}

// ear is a server that notes what it is told.
type ear struct {
	*httptest.Server
	mu    sync.Mutex
	heard []string
}

func listen(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *ear {
	e := &ear{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte("key"))
		fmt.Fprintf(mac, "%s.%s", r.Header.Get("Dalamb-Timestamp"), body)
		said := r.Method + " " + r.Header.Get("Dalamb-Callback") + " " + string(body)
		if r.Header.Get("Dalamb-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			said = "a wrong signature"
		}
		e.mu.Lock()
		e.heard = append(e.heard, said)
		n := len(e.heard)
		e.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *ear) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.heard, "; ")
}

func TestACallbackMayHaveATextOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.o.State = func(context.Context, string) ([]byte, error) { return nil, fault.New(fault.NotFound, "no such run") }
	e := listen(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	value, err := json.Marshal(function.Callback{Function: "alert", URL: e.URL, Secret: "s", Body: json.RawMessage(`{"fires":true}`)})
	if err != nil {
		t.Fatal(err)
	}
	w.append(eventlog.Record{Topic: own.Topic, Partition: 0, Key: []byte("event-1"), Value: value})
	defer w.keep()()
	w.settled(1)
	if got := e.all(); got != `POST event-1 {"fires":true}` {
		t.Errorf("heard %s", got)
	}
}

func TestACallbackIsMadeUntilItIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		status func(n int) int
		want   int
	}{
		"taken":           {func(int) int { return 204 }, 1},
		"taken later":     {func(n int) int { return map[int]int{1: 503, 2: 429}[n] }, 3},
		"never taken":     {func(int) int { return 500 }, 3},
		"refused":         {func(int) int { return 403 }, 1},
		"sent elsewhere":  {func(int) int { return 307 }, 1},
		"wants no answer": {func(int) int { return 410 }, 1},
	} {
		w := newWorld(t)
		e := listen(t, func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			if s := c.status(n); s != 0 {
				w.WriteHeader(s)
			}
		})
		stop := w.keep()
		w.ask("r-1", e.URL+"/done?x=1")
		w.settled(1)
		stop()
		want := strings.TrimSuffix(strings.Repeat(`POST r-1 {"id":"r-1"}; `, c.want), "; ")
		if got := e.all(); got != want {
			t.Errorf("%s: heard %q, want %q", name, got, want)
		}
	}
}

func TestWhatAnOwnerLeftTheNextOneMakes(t *testing.T) {
	w := newWorld(t)
	hanging := make(chan struct{})
	e := listen(t, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 1 {
			close(hanging)
			<-r.Context().Done() // the first owner goes in the middle
		}
	})
	w.ask("made", e.URL)
	w.append(eventlog.Record{Topic: own.Topic, Partition: 0, Key: []byte("made")})
	w.append(eventlog.Record{Topic: own.Topic, Partition: 0, Key: []byte("unreadable"), Value: []byte("{")})
	w.ask("left", e.URL)
	stop := w.keep()
	<-hanging
	stop()
	defer w.keep()()
	w.settled(2)
	if got, want := e.all(), `POST left {"id":"left"}; POST left {"id":"left"}`; got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func TestAHostThatHangsHoldsUpNobodyElse(t *testing.T) {
	w := newWorld(t)
	slow := listen(t, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	quick := listen(t, func(int, http.ResponseWriter, *http.Request) {})
	stop := w.keep()
	for i := range 3 * mostOfOne {
		w.ask(fmt.Sprint("slow-", i), slow.URL)
	}
	w.ask("quick", quick.URL)
	w.settled(1)
	stop()
	if got := quick.all(); got != `POST quick {"id":"quick"}` {
		t.Errorf("heard %q", got)
	}
}

func TestAStateThatIsGoneIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.o.State = func(context.Context, string) ([]byte, error) { return nil, fault.New(fault.NotFound, "gone") }
	e := listen(t, func(int, http.ResponseWriter, *http.Request) {})
	defer w.keep()()
	w.ask("r", e.URL)
	w.settled(1)
	if got := e.all(); got != "" {
		t.Errorf("heard %q, want nothing", got)
	}
}

func TestWhoMayBeCalledBackCanChange(t *testing.T) {
	w := newWorld(t)
	k, err := New(w.o)
	if err != nil {
		t.Fatal(err)
	}
	e := listen(t, func(int, http.ResponseWriter, *http.Request) {})
	for i, allow := range [][]netip.Prefix{w.o.Allow, nil, w.o.Allow} {
		k.Allow(allow)
		r, err := k.client.Get(e.URL)
		if err == nil {
			r.Body.Close()
		}
		if (err == nil) != (allow != nil) {
			t.Errorf("change %d, to %v: %v", i, allow, err)
		}
	}
}

func TestOnlyTheInternetIsCalledBack(t *testing.T) {
	w := newWorld(t)
	w.o.Allow = nil
	e := listen(t, func(int, http.ResponseWriter, *http.Request) {})
	stop := w.keep()
	port := e.URL[strings.LastIndexByte(e.URL, ':'):]
	hosts := []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1"}
	for _, host := range hosts {
		w.ask(host, "http://"+host+port)
	}
	w.settled(len(hosts))
	stop()
	if got := e.all(); got != "" {
		t.Errorf("heard %q, want nothing", got)
	}
}

func TestReachable(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16")}
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "10.1.2.3": true, "::ffff:10.1.2.3": true, "fd12::1": true,
		"127.0.0.1": false, "127.255.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "168.63.129.16": false, "100.100.100.200": false,
		"10.2.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "100.64.0.1": false, "198.18.0.1": false, "192.0.0.192": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::1": false, "2001:0:7f00:1::1": false, "::127.0.0.1": false, "fec0::1": false, "2001:db8::1": false,
	} {
		if err := reachable(netip.MustParseAddr(text), allow); (err == nil) != want {
			t.Errorf("reachable(%s) = %v, want %v", text, err, want)
		}
	}
}

func TestWhatCameOfAnAlertsWebhookIsTold(t *testing.T) {
	w := newWorld(t)
	if err := w.log.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicAlerts, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if tries++; r.URL.Path == "/gone" {
			rw.WriteHeader(http.StatusNotFound)
		} else if tries == 1 {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	told := func() (all []string) {
		_, err := eventlog.ReadAll(t.Context(), w.log, eventlog.Partition{Topic: function.TopicAlerts}, func(r *eventlog.Record) error {
			var one function.AlertTold
			e, err := eventlog.ToEvent(*r)
			if err == nil {
				err = json.Unmarshal(e.Data, &one)
			}
			all = append(all, fmt.Sprintf("%s %s of %s: %d %q %t", e.ID, one.Event, one.Alert, one.Tries, strings.TrimPrefix(one.Error, server.Listener.Addr().String()+" "), one.Again))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	var want []string
	for _, c := range []struct {
		key, path string
		want      []string
	}{
		{"e1", "/", []string{`e1-trying e1 of oven: 1 "answers 500" true`, `e1-told e1 of oven: 2 "" false`}},
		{"e2", "/gone", []string{`e2-told e2 of oven: 1 "answers 404" false`}},
	} {
		value, err := json.Marshal(function.Callback{Function: "oven", URL: server.URL + c.path, Secret: "s", Body: json.RawMessage(`{}`), Alert: "oven"})
		if err != nil {
			t.Fatal(err)
		}
		w.append(eventlog.Record{Topic: own.Topic, Partition: 0, Key: []byte(c.key), Value: value})
		want = append(want, c.want...)
		for range 2 { // the second owner finds nothing to do
			stop := w.keep()
			for deadline := time.Now().Add(10 * time.Second); len(told()) < len(want) && time.Now().Before(deadline); {
				runtime.Gosched()
			}
			stop()
		}
		if got := told(); strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
}
