package runnertest

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

// WaysOut lets hostile functions that have a way out, network: egress, try to reach what they must not, on the stage. It returns the table of
// the tries, and on the stage itself nothing. What got through is a failure of the test.
func WaysOut(t *testing.T, make New) []Escape {
	t.Helper()
	return fromStage(t, make, func() []Escape {
		s := &suite{make: make}
		return NewReacher(t, s.runner(t)).waysOut(t)
	})
}

// WaysOutAsOrdinaryUser does that with the test that calls WaysOut, as a user without rights.
func WaysOutAsOrdinaryUser(t *testing.T, make New, test string) []Escape {
	t.Helper()
	return fromStage(t, make, func() []Escape { return EscapesAsOrdinaryUser(t, test) })
}

// fromStage plays on the stage and gives what comes of it.
func fromStage(t *testing.T, make New, play func() []Escape) (all []Escape) {
	t.Helper()
	left := filepath.Join(t.TempDir(), "escapes")
	if os.Getenv(stageVar) == "" {
		t.Setenv(escapesVar, left)
	}
	if OnStage(t, make) {
		LeaveEscapes(t, play())
		return nil
	}
	b, err := os.ReadFile(left)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatalf("read what came of the tries on the stage: %v", err)
	}
	return all
}

// wayOut is a function that tries to reach something.
type wayOut struct {
	try    string
	allow  []runner.Allowed
	args   []string
	held   []string // regular expressions that the lines that it prints match when it was held; the last is that of all further ones
	answer string   // what came of it, for the table
}

func (a *Reacher) waysOut(t *testing.T) []Escape {
	a.other(t)
	host, err := net.Listen("tcp4", ":8081") // a service of the machine, such as the control API
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	datagrams, err := net.ListenPacket("udp4", ":8081")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	if got := a.Reaches(t, nil, a.Public()); !strings.Contains(got[0], "heard hello") {
		t.Fatalf("%s: %q; want an answer: the way out leads nowhere", a.Public(), got[0])
	}
	var all []Escape
	for _, w := range waysOut() {
		t.Run(w.try, func(t *testing.T) {
			for i, line := range a.run(t, w.allow, w.args...) {
				if want := w.held[min(i, len(w.held)-1)]; !regexp.MustCompile(want).MatchString(line) {
					t.Errorf("it said %q, want %s", line, want)
				}
			}
			all = append(all, Escape{w.try, w.answer})
		})
	}
	t.Run("what was smuggled", func(t *testing.T) {
		if got := a.Reaches(t, nil, "tcp/"+overheard); !regexp.MustCompile(`^heard \[("ordinary" ?)+\]$`).MatchString(got[0]) {
			t.Errorf("out there was %s, want what was sent in the ordinary way alone", got[0])
		}
	})
	return all
}

// overheard is where datagrams are kept.
const overheard = publicAddress + ":7000"

func waysOut() []wayOut {
	refused := []string{" refused$"}
	of := func(prefix string, ports ...uint16) []runner.Allowed {
		return []runner.Allowed{{Prefix: netip.MustParsePrefix(prefix), Ports: ports}}
	}
	reach := func(to ...string) []string { return append([]string{"reach"}, to...) }
	return []wayOut{
		{"another function that listens on all its addresses, with all networks in `allow`", everywhere(), reach(toOthers()...), refused, "refused"},
		{"a service of the host, at the host's address, its loopback or the gateway, by TCP and UDP", nil,
			reach("tcp/"+machineAddress+":8081", "udp/"+machineAddress+":8081", "tcp/127.0.0.1:8081", "tcp/192.0.0.1:8081", "udp/192.0.0.1:8081"), refused, "refused"},
		{"a service of the host, with the host's network in `allow`", of("93.184.216.0/24"),
			reach("tcp/"+machineAddress+":8081", "udp/"+machineAddress+":8081"), refused, "refused: only `allow` with this one address opens it"},
		{"the host's neighbours in a private network", nil, reach("tcp/"+lanAddress+":80", "udp/"+lanAddress+":80"), refused, "refused: only `allow` opens it"},
		{"the cloud's metadata at 169.254.169.254, and another cloud's at 100.100.100.200, by TCP and UDP", nil,
			reach("tcp/"+metaAddress+":80", "udp/"+metaAddress+":80", "tcp/100.100.100.200:80"), refused, "refused"},
		{"the cloud's metadata, with all link-local addresses in `allow`", of("169.254.0.0/16"),
			reach("tcp/" + metaAddress + ":80"), refused, "refused: only `allow` with this one address opens it"},
		{"names that a stranger's DNS gives the address of the metadata, of the host, of loopback", nil,
			reach("tcp/meta.example.com:80", "udp/meta.example.com:80", "tcp/machine.example.com:8081", "tcp/loop.example.com:8081"), refused, "refused: addresses count, not names"},
		{"a name that has a public address when it is first asked for, and then the metadata's", nil,
			reach("tcp/rebind.example.com:80", "tcp/rebind.example.com:80"), []string{" heard hello$", " refused$"},
			"the first connection is to the public address; the second is refused"},
		{"a DNS server of its own choice, with `allow` for another port", of("93.184.216.0/24", 80),
			reach("tcp/"+dnsAddress+":53", "udp/"+dnsAddress+":53"), refused, "refused: the machine's name servers answer it, by the gateway"},
		{"a port that `allow` does not name", of(publicAddress+"/32", 80), reach("tcp/"+publicAddress+":5432", "udp/"+publicAddress+":5432"), refused, "refused"},
		{"anything by IPv6", everywhere(), reach("tcp6/[2001:db8::1]:80", "udp6/[2001:db8::1]:80"), []string{"(refused|unreachable|cannot assign requested address|not supported by protocol)$"}, "there is no way there"},
		{"the cloud's metadata by IPv6, as ::ffff:169.254.169.254", nil, []string{"smuggle", metaAddress + ":80", "mapped"}, []string{"^mapped denied"}, "refused"},
		{"anything by raw sockets: IP, ICMP, packets", nil, []string{"smuggle", overheard, "raw", "icmp", "packet"}, []string{"denied operation not permitted$"}, "EPERM"},
		{"a host out there, by datagrams with a forged sender and in fragments", nil,
			[]string{"smuggle", overheard, "forged", "fragments"}, []string{"^(forged|fragments) (sent|denied .*)$"}, "they do not leave the machine"},
		{"all of the host's network, by broadcast and multicast", everywhere(),
			[]string{"smuggle", overheard, "broadcast", "multicast"}, []string{"^(broadcast|multicast) (sent|denied .*)$"}, "they do not leave the machine"},
		{"a host out there, by connections without end", nil, []string{"crowd", publicAddress + ":80", "1000"}, []string{"^connections 256$"}, "stopped at 256 of one function; those of all functions are bounded, too"},
	}
}
