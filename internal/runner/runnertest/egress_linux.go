package runnertest

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

// Egress tests the network "egress" of a runner that gives it, on the stage.
func Egress(t *testing.T, make New) {
	if !OnStage(t, make) {
		return
	}
	s := &suite{make: make}
	a := NewReacher(t, s.runner(t))
	t.Run("reaches what is allowed", a.whatIsAllowed)
	t.Run("reaches no other function", a.noOtherFunction)
}

// Reacher starts functions that try to reach things, on the stage.
type Reacher struct {
	r    runner.Runner
	code string
	n    int
}

// NewReacher makes one; the runner stays the caller's.
func NewReacher(t *testing.T, r runner.Runner) *Reacher {
	t.Helper()
	return &Reacher{r: r, code: Code(t)}
}

// Public is what is out there on the internet of the stage, and answers.
func (a *Reacher) Public() string { return "tcp/" + publicAddress + ":80" }

// Reaches gives what came of each destination, in their order.
func (a *Reacher) Reaches(t *testing.T, allow []runner.Allowed, to ...string) []string {
	t.Helper()
	lines := a.run(t, allow, append([]string{"reach"}, to...)...)
	if len(lines) != len(to) {
		t.Fatalf("output %q; want a line for each of %v", lines, to)
	}
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, to[i]+" ")
	}
	return lines
}

// run runs fn with the way out to its end, and gives the lines that it printed.
func (a *Reacher) run(t *testing.T, allow []runner.Allowed, args ...string) []string {
	t.Helper()
	a.n++
	out := newBuffer()
	sb, err := a.r.Start(t.Context(), runner.Spec{
		ID: fmt.Sprintf("e%d-%d", os.Getpid(), a.n), Function: "reaching", Version: 1, CodeDir: a.code, Base: "scratch", Network: "egress", Allow: allow,
		Command: append([]string{"./fn"}, args...), Memory: 256 << 20, PIDs: 64, Tmp: 1 << 20,
		Stdout: out.add,
		Stderr: func(p []byte) { t.Logf("%s", p) },
	})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	defer sb.Stop(0)
	select {
	case <-sb.Done():
	case <-time.After(time.Minute):
		t.Fatal("the function does not end")
	}
	if e := sb.Exit(); e.Code != 0 {
		t.Fatalf("exit %+v, output %q", e, out.String())
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func (a *Reacher) whatIsAllowed(t *testing.T) {
	host, err := net.Listen("tcp4", ":8081") // a service of the machine, such as the control API
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	one := func(prefix string, ports ...uint16) runner.Allowed {
		return runner.Allowed{Prefix: netip.MustParsePrefix(prefix), Ports: ports}
	}
	heard := func(to string) string { return to + " heard hello" }
	for _, c := range []struct {
		name  string
		allow []runner.Allowed
		to    string
		want  string
	}{
		{"internet", nil, "tcp/" + publicAddress + ":80", heard(publicAddress + ":80")},
		{"internet by UDP", nil, "udp/" + publicAddress + ":80", "heard hello"},
		{"nothing listens there", nil, "tcp/" + publicAddress + ":81", "refused"},
		{"name", nil, "name/example.com", publicAddress},
		{"name whose answer is long", nil, "name/long.example.com", publicAddress},
		{"only its port", []runner.Allowed{{Ports: []uint16{80}}}, "tcp/" + publicAddress + ":5432", "refused"},
		{"not in the list", []runner.Allowed{one("93.184.217.0/24")}, "tcp/" + publicAddress + ":80", "refused"},
		{"by UDP not in the list", []runner.Allowed{one("93.184.217.0/24")}, "udp/" + publicAddress + ":80", "refused"},
		{"private", nil, "tcp/" + lanAddress + ":80", "refused"},
		{"private, allowed", []runner.Allowed{one("10.1.0.0/16", 5432)}, "tcp/" + lanAddress + ":5432", heard(lanAddress + ":5432")},
		{"private, allowed with another port", []runner.Allowed{one("10.1.0.0/16", 5432)}, "tcp/" + lanAddress + ":80", "refused"},
		{"metadata", nil, "tcp/" + metaAddress + ":80", "refused"},
		{"metadata by UDP", nil, "udp/" + metaAddress + ":80", "refused"},
		{"metadata in a range", []runner.Allowed{one("169.254.0.0/16")}, "tcp/" + metaAddress + ":80", "refused"},
		{"metadata, alone", []runner.Allowed{one(metaAddress + "/32")}, "tcp/" + metaAddress + ":80", heard(metaAddress + ":80")},
		{"metadata of another cloud", []runner.Allowed{one("100.64.0.0/10")}, "tcp/100.100.100.200:80", "refused"},
		{"machine", nil, "tcp/" + machineAddress + ":8081", "refused"},
		{"machine in a range", []runner.Allowed{one("93.184.216.0/24")}, "tcp/" + machineAddress + ":8081", "refused"},
		{"broadcast", []runner.Allowed{one("93.184.216.0/24")}, "udp/93.184.216.255:80", "refused"},
		{"its own loopback is not the machine's", nil, "tcp/127.0.0.1:8081", "refused"},
		{"gateway", nil, "tcp/192.0.0.1:8081", "refused"},
		{"gateway, all of its range allowed", []runner.Allowed{one("192.0.0.0/29")}, "tcp/192.0.0.1:8081", "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := a.Reaches(t, c.allow, c.to); got[0] != c.want {
				t.Errorf("%s: %q, want %q", c.to, got[0], c.want)
			}
		})
	}
	t.Run("machine, alone", func(t *testing.T) {
		go func() {
			c, err := host.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
		if got := a.Reaches(t, []runner.Allowed{one(machineAddress+"/32", 8081)}, "tcp/"+machineAddress+":8081"); got[0] != "hello" {
			t.Errorf("reached %q, want hello", got[0])
		}
	})
}

func (a *Reacher) noOtherFunction(t *testing.T) {
	a.other(t)
	for _, to := range toOthers() {
		if got := a.Reaches(t, everywhere(), to); got[0] != "refused" {
			t.Errorf("%s: %q, want refused", to, got[0])
		}
	}
}

// toOthers are where a function that listens at port 9000 could be.
func toOthers() []string {
	return []string{"tcp/192.0.0.2:9000", "tcp/192.0.0.1:9000", "tcp/127.0.0.1:9000", "tcp/" + machineAddress + ":9000"}
}

// everywhere allows all that can be allowed, other functions' addresses by name.
func everywhere() []runner.Allowed {
	return []runner.Allowed{{}, {Prefix: netip.MustParsePrefix("192.0.0.2/32")}, {Prefix: netip.MustParsePrefix("0.0.0.0/0")}}
}

// other starts a function that listens at port 9000 of all its addresses.
func (a *Reacher) other(t *testing.T) {
	t.Helper()
	words := make(chan struct{}, 1)
	other, err := a.r.Start(t.Context(), runner.Spec{
		ID: "other", Function: "other", Version: 1, CodeDir: a.code, Base: "scratch", Network: "egress", Command: []string{"./fn", "serve", "9000", "0.0.0.0"},
		Memory: 256 << 20, PIDs: 64, Tmp: 1 << 20, Port: 9000,
		Stdout: func(p []byte) {
			select {
			case words <- struct{}{}:
			default:
			}
		},
		Stderr: func(p []byte) { t.Logf("%s", p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Stop(0) })
	select {
	case <-words: // it listens
	case <-time.After(time.Minute):
		t.Fatal("the other function does not say that it listens")
	}
	if c, err := other.Dial(t.Context()); err != nil {
		t.Fatalf("the node itself does not reach the other function: %v", err)
	} else {
		c.Close()
	}
}
