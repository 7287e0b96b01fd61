package upstream

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/dalamb/dalamb/internal/function"
)

// nameServer answers questions of one type each; NXDOMAIN for names that it does not know.
func nameServer(t *testing.T, zone map[string][]dnsmessage.ResourceBody) string {
	t.Helper()
	nc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		buf := make([]byte, 512)
		for {
			n, from, err := nc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			q := m.Questions[0]
			bodies, known := zone[q.Name.String()]
			if !known {
				m.RCode = dnsmessage.RCodeNameError
			}
			for _, b := range bodies {
				typ := map[bool]dnsmessage.Type{true: dnsmessage.TypeA, false: dnsmessage.TypeSRV}[isA(b)]
				if typ == q.Type {
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: typ, Class: dnsmessage.ClassINET, TTL: 1}, Body: b})
				}
			}
			out, err := m.Pack()
			if err == nil {
				_, err = nc.WriteTo(out, from)
			}
			if err != nil {
				t.Errorf("answer: %v", err)
			}
		}
	})
	t.Cleanup(func() {
		nc.Close()
		work.Wait()
	})
	return nc.LocalAddr().String()
}

func isA(b dnsmessage.ResourceBody) bool { _, is := b.(*dnsmessage.AResource); return is }

func TestServersInDNS(t *testing.T) {
	srv := func(priority, weight, port uint16, target string) dnsmessage.ResourceBody {
		return &dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: port, Target: dnsmessage.MustNewName(target)}
	}
	at := nameServer(t, map[string][]dnsmessage.ResourceBody{
		"search.internal.":            {&dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}}, &dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}}},
		"_http._tcp.search.internal.": {srv(2, 1, 80, "spare.internal."), srv(1, 5, 8080, "a.internal."), srv(1, 3, 8081, "b.internal.")},
		"nothing.internal.":           nil,
	})
	for _, c := range []struct {
		rule   function.UpstreamDNS
		scheme function.UpstreamScheme
		want   []string
	}{
		{function.UpstreamDNS{Name: "search.internal", Port: 8080}, "http", []string{"http://10.0.0.1:8080 0", "http://10.0.0.2:8080 0"}},
		{function.UpstreamDNS{Name: "search.internal."}, "https", []string{"https://10.0.0.1:443 0", "https://10.0.0.2:443 0"}},
		{function.UpstreamDNS{Name: "_http._tcp.search.internal", Type: "SRV"}, "http", []string{"http://a.internal:8080 5", "http://b.internal:8081 3"}},
		{function.UpstreamDNS{Name: "nothing.internal"}, "http", nil},
		{function.UpstreamDNS{Name: "other.internal", Type: "SRV"}, "http", nil},
	} {
		c.rule.Resolver = at
		list, err := newNames(&c.rule, c.scheme).ask(t.Context())
		var got []string
		for _, s := range list {
			if s.Named != byAnybody {
				t.Errorf("%s: %s is trusted", c.rule.Name, s.Address)
			}
			got = append(got, fmt.Sprintf("%s %d", s.id(), s.Weight))
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%s %s = %v, %v, want %v", c.rule.Name, c.rule.Type, got, err, c.want)
		}
	}
}

func TestServersThatRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{})
		instances := []function.ServiceInstance{
			{Registration: function.Registration{Address: "127.0.0.1:1", Weight: 3}, Healthy: true},
			{Registration: function.Registration{Address: "127.0.0.1:2"}, Reason: "no heartbeat came for 1s"},
		}
		s := service{scheme: "http", name: "search", of: func(string) ([]function.ServiceInstance, <-chan struct{}) { return instances, changed }}
		var got []Server
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { _ = s.Watch(ctx, func(list []Server) { got = list }) })
		synctest.Wait()
		if len(got) != 2 || got[0] != (Server{Scheme: "http", Address: "127.0.0.1:1", Weight: 3, Named: byService}) || got[1].Unwell != "no heartbeat came for 1s" {
			t.Errorf("servers = %+v, want both, one of them unwell", got)
		}
		old := changed
		instances, changed = nil, make(chan struct{})
		close(old)
		synctest.Wait()
		if len(got) != 0 {
			t.Errorf("servers = %+v, want none any more", got)
		}
		stop()
		work.Wait()
	})
}

// fleeting says something, and is gone after a while.
type fleeting struct {
	lasts time.Duration
	asked int
}

func (f *fleeting) Watch(ctx context.Context, take func([]Server)) error {
	f.asked++
	take(nil)
	select {
	case <-time.After(f.lasts):
	case <-ctx.Done():
	}
	return errors.New("it may not be followed")
}

// TestASourceThatOnlyComesAndGoes is asked ever less often, and one that was there for long at once.
func TestASourceThatOnlyComesAndGoes(t *testing.T) {
	for lasts, want := range map[time.Duration]int{0: 14, 59 * time.Second: 5} { // at 0, 1, 3, 7, 15, 31 s and every 30 s of five minutes; every minute
		synctest.Test(t, func(t *testing.T) {
			p := pool(t, function.Upstream{})
			f := &fleeting{lasts: lasts}
			p.source = f
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute-time.Second)
			defer stop()
			p.feed(ctx)
			if f.asked != want {
				t.Errorf("a source that lasts %s is asked %d times in five minutes, want %d", lasts, f.asked, want)
			}
		})
	}
}

// TestHowServersAreSpokenTo: by TLS with an authority of one's own, and by HTTP/2 without TLS.
func TestHowServersAreSpokenTo(t *testing.T) {
	says := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.Host) })
	secured := httptest.NewTLSServer(says)
	defer secured.Close()
	plain := httptest.NewUnstartedServer(says)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	defer plain.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secured.Certificate().Raw}))
	for _, c := range []struct {
		name   string
		rule   function.Upstream
		scheme function.UpstreamScheme
		at     string
		want   string // "" = it cannot be reached
	}{
		{"unknown authority", function.Upstream{}, "https", secured.Listener.Addr().String(), ""},
		{"authority", function.Upstream{TLS: &function.UpstreamTLS{CA: ca}}, "https", secured.Listener.Addr().String(), "HTTP/1.1 shop.example"},
		{"name", function.Upstream{TLS: &function.UpstreamTLS{CA: ca, Name: "example.com"}}, "https", secured.Listener.Addr().String(), "HTTP/1.1 shop.example"},
		{"wrong name", function.Upstream{TLS: &function.UpstreamTLS{CA: ca, Name: "other.test"}}, "https", secured.Listener.Addr().String(), ""},
		{"h2c", function.Upstream{}, "h2c", plain.Listener.Addr().String(), "HTTP/2.0 shop.example"},
		{"host", function.Upstream{Host: function.UpstreamHostRewrite}, "h2c", plain.Listener.Addr().String(), "HTTP/2.0 " + plain.Listener.Addr().String()},
	} {
		p := pool(t, c.rule, Server{Scheme: c.scheme, Address: c.at, Named: byDeveloper})
		r := httptest.NewRequest("GET", "http://shop.example/", nil)
		res, err := p.Begin().Invoke(t.Context(), &function.Invocation{ID: "1", Run: "1", Request: r})
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == "" && res.Outcome != function.InitError, c.want != "" && string(res.Body) != c.want:
			t.Errorf("%s: %s %q %+v, want %q", c.name, res.Outcome, res.Body, res.Failure, c.want)
		}
		(*p.members.Load())[0].retire()
	}
}
