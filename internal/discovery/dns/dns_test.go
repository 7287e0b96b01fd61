package dns

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// known is a discovery that knows these instances.
func known(t testing.TB, all ...function.Registration) *discovery.Discovery {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	err = l.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicServices, Partitions: 1, Compact: true})
	if err != nil {
		t.Fatal(err)
	}
	d, err := discovery.New(discovery.Options{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	for _, r := range all {
		if _, err := d.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func some(t testing.TB) *discovery.Discovery {
	return known(t,
		function.Registration{Service: "search", Instance: "s-1", Address: "10.0.0.7:9000", Weight: 3},
		function.Registration{Service: "search", Instance: "S.2", Address: "[fd00::7]:9001"},
		function.Registration{Service: "search", Instance: "s-3", Address: "h.internal:9002"},
		function.Registration{Service: "search", Instance: "sick", Address: "10.0.0.8:9000", Check: &function.ServiceCheck{}},
		function.Registration{Service: "sick", Instance: "a", Address: "10.0.0.9:1", Check: &function.ServiceCheck{}},
	)
}

func question(t testing.TB, name string, typ dnsmessage.Type, size uint16) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}},
	}
	if size > 0 {
		e := extension()
		e.Header.Class = dnsmessage.Class(size)
		m.Additionals = []dnsmessage.Resource{e}
	}
	text, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parsed(t testing.TB, reply []byte) dnsmessage.Message {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("reply %x: %v", reply, err)
	}
	return m
}

func texts(rs []dnsmessage.Resource) []string {
	var all []string
	for _, r := range rs {
		switch b := r.Body.(type) {
		case *dnsmessage.AResource:
			all = append(all, fmt.Sprintf("%s A %s", r.Header.Name, net.IP(b.A[:])))
		case *dnsmessage.AAAAResource:
			all = append(all, fmt.Sprintf("%s AAAA %s", r.Header.Name, net.IP(b.AAAA[:])))
		case *dnsmessage.SRVResource:
			all = append(all, fmt.Sprintf("%s SRV %d %d %d %s", r.Header.Name, b.Priority, b.Weight, b.Port, b.Target))
		}
	}
	slices.Sort(all)
	return all
}

func TestAnswers(t *testing.T) {
	v := some(t).View()
	for _, c := range []struct {
		name  string
		typ   dnsmessage.Type
		rcode dnsmessage.RCode
		want  []string
	}{
		{"search.dalamb.", dnsmessage.TypeA, 0, []string{"search.dalamb. A 10.0.0.7"}},
		{"SEARCH.Dalamb.", dnsmessage.TypeA, 0, []string{"SEARCH.Dalamb. A 10.0.0.7"}},
		{"search.dalamb.", dnsmessage.TypeAAAA, 0, []string{"search.dalamb. AAAA fd00::7"}},
		{"search.dalamb.", dnsmessage.TypeALL, 0, []string{"search.dalamb. A 10.0.0.7", "search.dalamb. AAAA fd00::7"}},
		{"search.dalamb.", dnsmessage.TypeSRV, 0, []string{"search.dalamb. SRV 0 1 9001 S.2.search.dalamb.", "search.dalamb. SRV 0 1 9002 h.internal.", "search.dalamb. SRV 0 3 9000 s-1.search.dalamb."}},
		{"_search._tcp.dalamb.", dnsmessage.TypeSRV, 0, []string{"_search._tcp.dalamb. SRV 0 1 9001 S.2.search.dalamb.", "_search._tcp.dalamb. SRV 0 1 9002 h.internal.", "_search._tcp.dalamb. SRV 0 3 9000 s-1.search.dalamb."}},
		{"s.2.search.dalamb.", dnsmessage.TypeAAAA, 0, []string{"s.2.search.dalamb. AAAA fd00::7"}},
		{"sick.search.dalamb.", dnsmessage.TypeA, 0, []string{"sick.search.dalamb. A 10.0.0.8"}}, // whoever names it wants this one
		{"sick.dalamb.", dnsmessage.TypeA, 0, nil},
		{"search.dalamb.", dnsmessage.TypeMX, 0, nil},
		{"dalamb.", dnsmessage.TypeA, 0, nil},
		{"none.dalamb.", dnsmessage.TypeA, dnsmessage.RCodeNameError, nil},
		{"s-9.search.dalamb.", dnsmessage.TypeA, dnsmessage.RCodeNameError, nil},
		{"example.com.", dnsmessage.TypeA, dnsmessage.RCodeRefused, nil},
		{"notdalamb.", dnsmessage.TypeA, dnsmessage.RCodeRefused, nil},
	} {
		m := parsed(t, answer(v, question(t, c.name, c.typ, 0), plainUDP))
		if m.RCode != c.rcode || !slices.Equal(texts(m.Answers), c.want) || m.ID != 7 || !m.Response || m.Authoritative != (c.rcode != dnsmessage.RCodeRefused) {
			t.Errorf("%s %s: %+v %v, want %v %v", c.name, c.typ, m.Header, texts(m.Answers), c.rcode, c.want)
		}
		if soa := len(m.Authorities) == 1; soa != (m.Authoritative && c.want == nil) {
			t.Errorf("%s %s: authorities %v", c.name, c.typ, m.Authorities)
		}
	}
	m := parsed(t, answer(v, question(t, "search.dalamb.", dnsmessage.TypeSRV, 0), plainUDP))
	if got := texts(m.Additionals); !slices.Equal(got, []string{"S.2.search.dalamb. AAAA fd00::7", "s-1.search.dalamb. A 10.0.0.7"}) {
		t.Errorf("beside SRV records there is %v", got)
	}
}

func TestAnAnswerThatIsTooLargeAsksToComeByTCP(t *testing.T) {
	var all []function.Registration
	for i := range 100 {
		all = append(all, function.Registration{Service: "big", Instance: fmt.Sprintf("%s-%d", strings.Repeat("x", 40), i), Address: fmt.Sprintf("10.0.1.%d:80", i)})
	}
	v := known(t, all...).View()
	for _, c := range []struct {
		typ       dnsmessage.Type
		size      uint16
		most      int
		truncated bool
		answers   int
	}{
		{dnsmessage.TypeA, 0, plainUDP, true, 0},
		{dnsmessage.TypeA, 4096, plainUDP, false, mostAnswers},
		{dnsmessage.TypeSRV, 65535, plainUDP, true, 0},
		{dnsmessage.TypeSRV, 0, mostTCP, false, mostAnswers},
	} {
		reply := answer(v, question(t, "big.dalamb.", c.typ, c.size), c.most)
		m := parsed(t, reply)
		if m.Truncated != c.truncated || len(m.Answers) != c.answers || c.most == plainUDP && len(reply) > mostUDP {
			t.Errorf("%s with %d: %d bytes, truncated %v, %d answers", c.typ, c.size, len(reply), m.Truncated, len(m.Answers))
		}
	}
}

func TestAnAnswerThatCannotBeWrittenIsAFailureAndNoSilence(t *testing.T) {
	r := reply{most: plainUDP, header: dnsmessage.Header{ID: 7, Response: true, Authoritative: true}}
	asked := dnsmessage.Question{Name: dnsmessage.MustNewName("search.dalamb."), Type: dnsmessage.TypeSRV, Class: dnsmessage.ClassINET}
	r.question = &asked
	r.service(&function.ServiceInstance{Registration: function.Registration{Service: "search", Instance: "a..b", Address: "10.0.0.7:80"}})
	if m := parsed(t, r.pack()); m.RCode != dnsmessage.RCodeServerFailure || m.ID != 7 || len(m.Questions) != 1 || len(m.Answers) != 0 {
		t.Errorf("reply = %+v, want a server failure", m)
	}
}

func TestHostileQueries(t *testing.T) {
	v := some(t).View()
	good := question(t, "search.dalamb.", dnsmessage.TypeA, 0)
	two := slices.Clone(good)
	two[5] = 2
	none := slices.Clone(good[:12])
	none[5] = 0
	update := slices.Clone(good)
	update[2] = 5 << 3
	response := slices.Clone(good)
	response[2] |= 0x80
	loop := append(slices.Clone(good[:12]), 0xc0, 12, 0, 1, 0, 1)
	for name, c := range map[string]struct {
		query []byte
		want  dnsmessage.RCode // 255: no reply
	}{
		"nothing":             {nil, 255},
		"half a header":       {good[:7], 255},
		"a response":          {response, 255},
		"no question":         {none, dnsmessage.RCodeFormatError},
		"two, but one":        {two, dnsmessage.RCodeFormatError},
		"a name in a circle":  {loop, dnsmessage.RCodeFormatError},
		"an update":           {update, dnsmessage.RCodeNotImplemented},
		"cut off in its name": {good[:16], dnsmessage.RCodeFormatError},
	} {
		reply := answer(v, c.query, plainUDP)
		switch {
		case c.want == 255 && reply != nil:
			t.Errorf("%s: reply %x, want none", name, reply)
		case c.want != 255 && (reply == nil || parsed(t, reply).RCode != c.want):
			t.Errorf("%s: reply %x, want %v", name, reply, c.want)
		}
	}
}

func TestRealResolversAreAnswered(t *testing.T) {
	var said bytes.Buffer
	s, err := Listen("127.0.0.1:0", some(t).View, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(s.Address(), nil, nil); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.HintOf(err), "--dns") {
		t.Errorf("a taken address: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	for _, network := range []string{"udp", "tcp"} {
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Address())
		}}
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		if got, err := r.LookupHost(ctx, "search.dalamb."); err != nil || len(got) != 2 {
			t.Errorf("%s: LookupHost = %v, %v", network, got, err)
		}
		if _, got, err := r.LookupSRV(ctx, "search", "tcp", "dalamb."); err != nil || len(got) != 3 {
			t.Errorf("%s: LookupSRV = %v, %v", network, got, err)
		}
		if _, err := r.LookupHost(ctx, "none.dalamb."); err == nil || !err.(*net.DNSError).IsNotFound {
			t.Errorf("%s: a service that is not there: %v", network, err)
		}
		stop()
	}
	idle, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	cancel()
	if err := <-ended; err != nil || said.Len() > 0 {
		t.Errorf("Serve = %v, and it said %q", err, said.String())
	}
}

func FuzzAnswer(f *testing.F) {
	v := some(f).View()
	f.Add(question(f, "search.dalamb.", dnsmessage.TypeSRV, 4096))
	f.Add(question(f, "_search._tcp.dalamb.", dnsmessage.TypeALL, 0))
	f.Add(question(f, "a.b.c.dalamb.", dnsmessage.TypeA, 0))
	f.Fuzz(func(t *testing.T, query []byte) {
		reply := answer(v, query, plainUDP)
		if len(reply) > mostUDP {
			t.Errorf("a reply of %d bytes", len(reply))
		}
		if reply != nil {
			parsed(t, reply)
		}
	})
}
