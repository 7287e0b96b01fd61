package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// followed are the lists that a source gives, each as a text; it ends with the test.
func followed(t *testing.T, s Source) (lists <-chan string, ended <-chan error) {
	t.Helper()
	said, end := make(chan string, 16), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		end <- s.Watch(ctx, func(list []Server) {
			var all []string
			for _, one := range list {
				if one.Named != byAnybody {
					t.Errorf("%s is trusted", one.Address)
				}
				all = append(all, strings.TrimSpace(fmt.Sprintf("%s %d %s", one.id(), one.Weight, one.Unwell)))
			}
			slices.Sort(all)
			said <- strings.Join(all, ", ")
		})
	})
	t.Cleanup(func() {
		stop()
		work.Wait()
	})
	return said, end
}

// await waits for a list.
func await(t *testing.T, lists <-chan string, want string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case got := <-lists:
			if got == want {
				return
			}
			t.Logf("the source said %q", got)
		case <-late:
			t.Fatalf("the source never said %q", want)
		}
	}
}

// startEtcd runs a real etcd until the test is over, and gives its address.
func startEtcd(t *testing.T) string {
	t.Helper()
	program := need.Program(t, "etcd")
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	at, peers := free(), free()
	cmd := exec.Command(program, "--data-dir", t.TempDir(), "--name", "one", "--listen-client-urls", at, "--advertise-client-urls", at,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "one="+peers, "--unsafe-no-fsync")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("etcd said:\n%s", said.String())
		}
	})
	return at
}

// put stores keys; a value "" takes a key away. It tries until etcd is there.
func put(t *testing.T, at, key, value string) {
	t.Helper()
	path, body := "/v3/kv/put", map[string][]byte{"key": []byte(key), "value": []byte(value)}
	if value == "" {
		path, body = "/v3/kv/deleterange", map[string][]byte{"key": []byte(key)}
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		res, err := http.Post(at+path, "application/json", bytes.NewReader(text))
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		if time.Now().After(deadline) {
			t.Fatalf("put %s: %v", key, err)
		}
	}
}

func TestServersInEtcd(t *testing.T) {
	at := startEtcd(t)
	put(t, at, "/search/a", "10.0.0.1:80")
	put(t, at, "/search/b", `{"Op":0,"Addr":"10.0.0.2:80","Metadata":null}`)
	put(t, at, "/searches", "10.9.9.9:80")
	u := &Upstreams{}
	lists, ended := followed(t, u.sourceOf(&function.Upstream{Etcd: &function.UpstreamEtcd{URL: at, Prefix: "/search/"}}))
	await(t, lists, "http://10.0.0.1:80 0, http://10.0.0.2:80 0")
	put(t, at, "/search/c", `{"address":"10.0.0.3:80","weight":5}`)
	await(t, lists, "http://10.0.0.1:80 0, http://10.0.0.2:80 0, http://10.0.0.3:80 5")
	put(t, at, "/search/a", "")
	await(t, lists, "http://10.0.0.2:80 0, http://10.0.0.3:80 5")
	select {
	case err := <-ended:
		t.Errorf("Watch = %v, want that it goes on", err)
	default:
	}
}

func TestValuesInEtcd(t *testing.T) {
	for value, want := range map[string]string{
		"10.0.0.1:80\n":                         "10.0.0.1:80 0",
		`{"address": "h:1", "weight": 3}`:       "h:1 3",
		`{"Addr": "h:1"}`:                       "h:1 0",
		`{"Addr":`:                              "none",
		`{"weight": 3}`:                         " 3", // which nobody can connect to
		`{"address": "h:1", "weight": "heavy"}`: "none",
	} {
		s, ok := etcdServer([]byte(value), "http")
		got := fmt.Sprintf("%s %d", s.Address, s.Weight)
		if !ok {
			got = "none"
		}
		if got != want {
			t.Errorf("etcdServer(%q) = %s, want %s", value, got, want)
		}
	}
	for prefix, want := range map[string]string{"/a/": "/a0", "a\xff": "b", "\xff": "\x00"} {
		if got := string(prefixEnd(prefix)); got != want {
			t.Errorf("prefixEnd(%q) = %q, want %q", prefix, got, want)
		}
	}
}

func FuzzEtcdServer(f *testing.F) {
	f.Add([]byte("10.0.0.1:80"))
	f.Add([]byte(`{"Addr":"h:1","weight":2}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		if s, ok := etcdServer(value, "http"); ok && s.Named != byAnybody {
			t.Errorf("etcdServer(%q) = %+v, which is trusted", value, s)
		}
	})
}

// TestServersInConsul speaks to a stand-in that answers as Consul 1.20 does: blocking queries, an index, tokens.
func TestServersInConsul(t *testing.T) {
	const one = `[{"Node":{"Node":"n1","Address":"10.0.0.1"},"Service":{"ID":"s1","Service":"search","Address":"","Port":80,"Weights":{"Passing":1,"Warning":1}},"Checks":[{"Name":"Serf","Status":"passing"}]}`
	const two = `,{"Node":{"Node":"n2","Address":"10.0.0.2"},"Service":{"ID":"s2","Service":"search","Address":"10.1.0.2","Port":81,"Weights":{"Passing":5,"Warning":1}},"Checks":[{"Name":"http","Status":"critical"}]}`
	change := make(chan struct{})
	var again atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.Header.Get("X-Consul-Token") != "s3cret":
			w.WriteHeader(403)
			fmt.Fprint(w, "Permission denied")
		case r.URL.Path != "/v1/health/service/search" || q.Get("wait") != "1m0s":
			w.WriteHeader(404)
		case q.Get("index") == "0":
			w.Header().Set("X-Consul-Index", "7")
			fmt.Fprint(w, one+"]")
		case q.Get("index") == "7":
			select {
			case <-change:
			case <-r.Context().Done():
			}
			w.Header().Set("X-Consul-Index", "9")
			fmt.Fprint(w, one+two+"]")
		case !again.Swap(true): // it has been restored from a backup
			w.Header().Set("X-Consul-Index", "3")
			fmt.Fprint(w, "[]")
		default:
			w.WriteHeader(500)
			fmt.Fprint(w, "No cluster leader")
		}
	}))
	defer s.Close()
	secret := "s3cret"
	u := &Upstreams{o: Options{Secret: func(name string) ([]byte, int64, error) {
		if name != "consul-token" {
			return nil, 0, errors.New("no such secret")
		}
		return []byte(secret), 1, nil
	}}}
	rule := &function.Upstream{Scheme: "https", Consul: &function.UpstreamConsul{URL: s.URL + "/", Service: "search", Token: "consul-token"}}
	lists, ended := followed(t, u.sourceOf(rule))
	await(t, lists, "https://10.0.0.1:80 1")
	close(change)
	await(t, lists, "https://10.0.0.1:80 1, https://10.1.0.2:81 5 critical in Consul: http")
	await(t, lists, "")
	await(t, lists, "https://10.0.0.1:80 1") // asked as at first
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "ask Consul: it answered 500 No cluster leader") {
		t.Errorf("Watch = %v, want what Consul said", err)
	}
	for token, want := range map[string]string{"": "it answered 403 Permission denied", "other": "open the token for Consul"} {
		rule.Consul.Token = token
		if err := u.sourceOf(rule).Watch(t.Context(), func([]Server) { t.Error("a list without a token") }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with the token %q Watch = %v, want %s", token, err, want)
		}
	}
}

// TestDirectoriesThatMisbehave: none of them is believed, or followed elsewhere.
func TestDirectoriesThatMisbehave(t *testing.T) {
	answers := map[string]string{"/long": strings.Repeat("x", maxDirectory+1), "/odd": "{"}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/odd", http.StatusFound)
			return
		}
		fmt.Fprint(w, answers[r.URL.Path])
	}))
	defer s.Close()
	d := newDirectory("Consul", s.URL, nil)
	for path, want := range map[string]string{"/long": "longer than", "/odd": "decode the answer of Consul", "/away": "it answered 302"} {
		var into any
		if _, err := d.ask(t.Context(), request{path: path}, time.Minute, &into); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ask %s = %v, want %q", path, err, want)
		}
	}
}
