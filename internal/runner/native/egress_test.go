//go:build linux

package native

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/egress"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// The tests of ways out play on a stage: a network namespace that stands for the machine, and one behind it that stands for the internet and
// for what else a machine reaches. The test binary starts itself again for each.
const (
	stageVar = "DALAMB_TEST_STAGE" // "machine" or "world"

	machineAddress = "93.184.216.1"
	publicAddress  = "93.184.216.34"
	dnsAddress     = "93.184.216.53"
	lanAddress     = "10.1.2.3"
	metaAddress    = "169.254.169.254"
)

// onStage runs the test again where it is the machine's, and says whether this is that run.
func onStage(t *testing.T) bool {
	t.Helper()
	if os.Getenv(stageVar) == "machine" {
		return true
	}
	need.Root(t)
	need.Program(t, "ip")
	fences(t)
	err := tryDevice()
	need.That(t, err == nil, fmt.Sprintf("a kernel with TUN devices (%v)", err))
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), stageVar+"=machine", "DALAMB_NO_SKIP=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("on the stage: %v\n%s", err, out)
	}
	t.Logf("on the stage:\n%s", out)
	return false
}

// setStage makes the machine's network and the world.
func setStage(t *testing.T, nameserver string) {
	t.Helper()
	for _, m := range []struct{ what, where, kind string }{{"tmpfs", "/dev/net", "tmpfs"}} {
		if err := unix.Mount(m.what, m.where, m.kind, 0, "mode=755"); err != nil {
			t.Fatal(err)
		}
	}
	// Of mode 666 as udev makes it, so that an ordinary user's node can be tried.
	if err := unix.Mknod("/dev/net/tun", unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("/dev/net/tun", 0o666); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("# the machine's\nnameserver "+nameserver+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(conf, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	world := exec.Command(os.Args[0], "-test.run=^TestWorld$")
	world.Env = append(os.Environ(), stageVar+"=world")
	world.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := world.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := world.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := world.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = world.Wait() // it ends with its stdin, by a signal or not
	})
	ip(t, "link set lo up")
	ip(t, "link add wan0 type veth peer name wan1 netns "+strconv.Itoa(world.Process.Pid))
	ip(t, "address add "+machineAddress+"/24 dev wan0")
	ip(t, "link set wan0 up")
	ip(t, "route add default via "+publicAddress)
	if _, err := io.WriteString(in, "begin\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the world says %q, %v; want ready", line, err)
	}
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

// TestWorld is what is out there. It ends with its stdin.
func TestWorld(t *testing.T) {
	if os.Getenv(stageVar) != "world" {
		return // no test of its own
	}
	stdin := bufio.NewReader(os.Stdin)
	if _, err := stdin.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ip(t, "link set lo up")
	for _, a := range []string{publicAddress + "/24", dnsAddress + "/24", lanAddress + "/32", metaAddress + "/32", "100.100.100.200/32"} {
		ip(t, "address add "+a+" dev wan1")
	}
	ip(t, "link set wan1 up")
	echo(t, ":80")
	echo(t, ":5432")
	answerDNS(t, dnsAddress+":53")
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, stdin)
}

// echo answers, over TCP and UDP, who is spoken to and what was said.
func echo(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				said, _ := io.ReadAll(c)
				fmt.Fprintf(c, "%s heard %s", c.LocalAddr(), said)
			}()
		}
	}()
	p, err := net.ListenPacket("udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 1<<10)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = p.WriteTo(fmt.Appendf(nil, "heard %s", b[:n]), from)
		}
	}()
}

// answerDNS has publicAddress for every name and type A, and nothing for others. It answers over UDP, and names that begin with "long" over
// TCP alone. // RFC 1035, section 4
func answerDNS(t *testing.T, address string) {
	t.Helper()
	p, err := net.ListenPacket("udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			reply := dnsReply(b[:n])
			if bytes.Contains(b[:n], []byte("\x04long")) {
				reply[2] |= 0x02 // truncated
			}
			_, _ = p.WriteTo(reply, from)
		}
	}()
	l, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				size := make([]byte, 2)
				for {
					if _, err := io.ReadFull(c, size); err != nil {
						return
					}
					query := make([]byte, binary.BigEndian.Uint16(size))
					if _, err := io.ReadFull(c, query); err != nil {
						return
					}
					reply := dnsReply(query)
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
				}
			}()
		}
	}()
}

func dnsReply(query []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	question := query[12 : end+5]
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if question[len(question)-3] != 1 {
		return reply
	}
	reply[7] = 1
	reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
	return append(reply, netip.MustParseAddr(publicAddress).AsSlice()...)
}

// reacher starts functions that try to reach things.
type reacher struct {
	r    *Runner
	code string
	n    int
}

func newReacher(t *testing.T) *reacher {
	t.Helper()
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &reacher{r: r, code: runnertest.Code(t)}
}

// reaches gives what came of each destination, in their order.
func (a *reacher) reaches(t *testing.T, allow []runner.Allowed, to ...string) []string {
	t.Helper()
	a.n++
	var mu sync.Mutex
	var out bytes.Buffer
	sb, err := a.r.Start(t.Context(), runner.Spec{
		ID: fmt.Sprintf("e%d-%d", os.Getpid(), a.n), Function: "reaching", Version: 1, CodeDir: a.code, Base: "scratch", Network: "egress", Allow: allow,
		Command: append([]string{"./fn", "reach"}, to...), Memory: 256 << 20, PIDs: 64, Tmp: 1 << 20,
		Stdout: func(p []byte) {
			mu.Lock()
			defer mu.Unlock()
			out.Write(p)
		},
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
	mu.Lock()
	defer mu.Unlock()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(to) {
		t.Fatalf("exit %+v, output %q; want a line for each of %v", sb.Exit(), out.String(), to)
	}
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, to[i]+" ")
	}
	return lines
}

func TestEgressReachesWhatIsAllowed(t *testing.T) {
	if !onStage(t) {
		return
	}
	setStage(t, dnsAddress)
	a := newReacher(t)
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
			if got := a.reaches(t, c.allow, c.to); got[0] != c.want {
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
		if got := a.reaches(t, []runner.Allowed{one(machineAddress+"/32", 8081)}, "tcp/"+machineAddress+":8081"); got[0] != "hello" {
			t.Errorf("reached %q, want hello", got[0])
		}
	})
}

func TestEgressReachesNoOtherFunction(t *testing.T) {
	if !onStage(t) {
		return
	}
	setStage(t, dnsAddress)
	a := newReacher(t)
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
	defer other.Stop(0)
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
	allow := []runner.Allowed{{}, {Prefix: netip.MustParsePrefix("192.0.0.0/29")}, {Prefix: netip.MustParsePrefix("192.0.0.2/32")}}
	for _, to := range []string{"tcp/192.0.0.2:9000", "tcp/192.0.0.1:9000", "tcp/127.0.0.1:9000", "tcp/" + machineAddress + ":9000"} {
		if got := a.reaches(t, allow, to); got[0] != "refused" {
			t.Errorf("%s: %q, want refused", to, got[0])
		}
	}
}

func TestEgressIsBoundedForTheNode(t *testing.T) {
	if !onStage(t) {
		return
	}
	setStage(t, dnsAddress)
	a := newReacher(t)
	if a.r.flows == nil {
		t.Fatal("New bounds nothing")
	}
	to := "tcp/" + publicAddress + ":80"
	a.r.flows = egress.NewBudget(1)
	for range 3 { // what one sandbox had, the next one gets
		if got := a.reaches(t, nil, to); got[0] == "refused" {
			t.Fatalf("%s: %q within the bound", to, got[0])
		}
	}
	a.r.flows = egress.NewBudget(0)
	if got := a.reaches(t, nil, to); got[0] != "refused" {
		t.Errorf("%s: %q beyond the bound, want refused", to, got[0])
	}
}
