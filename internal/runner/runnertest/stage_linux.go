package runnertest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
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
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/need"
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

// OnStage runs the test again where it is the machine's, and says whether this is that run. The driver's TestMain has to call Main.
func OnStage(t *testing.T, make New) bool {
	t.Helper()
	if os.Getenv(stageVar) == "machine" {
		if os.Geteuid() == 0 { // else root has set it, and runs this as an ordinary user
			setStage(t)
		}
		return true
	}
	need.Root(t)
	need.Program(t, "ip")
	s := &suite{make: make}
	ability, err := s.runner(t).Check(t.Context())
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	need.That(t, ability.Egress, "a kernel with TUN devices")
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
func setStage(t *testing.T) {
	t.Helper()
	if err := unix.Mount("tmpfs", "/dev/net", "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	// Of mode 666 as udev makes it, so that an ordinary user's node can be tried.
	if err := unix.Mknod("/dev/net/tun", unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("/dev/net/tun", 0o666); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("# the machine's\nnameserver "+dnsAddress+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(conf, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	world := exec.Command(os.Args[0])
	world.Env = append(os.Environ(), stageVar+"=world")
	world.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET} // no Pdeathsig: that is of a thread, and runners end theirs
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
	if err := ip(
		"link set lo up",
		"link add wan0 type veth peer name wan1 netns "+strconv.Itoa(world.Process.Pid),
		"address add "+machineAddress+"/24 dev wan0",
		"link set wan0 up",
		"route add default via "+publicAddress,
	); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "begin\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the world says %q, %v; want ready", line, err)
	}
}

func ip(commands ...string) error {
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, out)
		}
	}
	return nil
}

// isWorld says whether this process is to be the world.
func isWorld() bool { return os.Getenv(stageVar) == "world" }

// world is what is out there. It ends with its stdin.
func world() error {
	stdin := bufio.NewReader(os.Stdin)
	if _, err := stdin.ReadString('\n'); err != nil {
		return err
	}
	if err := ip("link set lo up"); err != nil {
		return err
	}
	for _, a := range []string{publicAddress + "/24", dnsAddress + "/24", lanAddress + "/32", metaAddress + "/32", "100.100.100.200/32"} {
		if err := ip("address add " + a + " dev wan1"); err != nil {
			return err
		}
	}
	err := errors.Join(ip("link set wan1 up"), echo(":80"), echo(":5432"), overhear(":7000"), answerDNS(dnsAddress+":53"))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, stdin)
	return nil
}

// echo answers, over TCP and UDP, who is spoken to and what was said.
func echo(address string) error {
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return err
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
		return err
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
	return nil
}

// overhear keeps what it is sent over UDP, from whom ever, and tells it over TCP.
func overhear(address string) error {
	p, err := net.ListenPacket("udp4", address)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var heard []string
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			mu.Lock()
			heard = append(heard, string(b[:min(n, 16)]))
			mu.Unlock()
			_, _ = p.WriteTo([]byte("noted"), from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, c) // else what was not read would reset the connection
			mu.Lock()
			fmt.Fprintf(c, "heard %q", heard)
			mu.Unlock()
			c.Close()
		}
	}()
	return nil
}

// zone gives names their addresses: publicAddress, but for those with a word that says whose. Who asks for "rebind" again is told the one of the
// metadata service.
type zone struct{ asked atomic.Int64 }

func (z *zone) address(query []byte) string {
	for label, address := range map[string]string{"\x04meta": metaAddress, "\x07machine": machineAddress, "\x04loop": "127.0.0.1"} {
		if bytes.Contains(query, []byte(label)) {
			return address
		}
	}
	if bytes.Contains(query, []byte("\x06rebind")) && isA(query) && z.asked.Add(1) > 1 {
		return metaAddress
	}
	return publicAddress
}

// answerDNS has an address for every name and type A, and nothing for other types. It answers over UDP, and names that begin with "long" over
// TCP alone. // RFC 1035, section 4
func answerDNS(address string) error {
	z := new(zone)
	p, err := net.ListenPacket("udp4", address)
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			reply := dnsReply(b[:n], z.address(b[:n]))
			if bytes.Contains(b[:n], []byte("\x04long")) {
				reply[2] |= 0x02 // truncated
			}
			_, _ = p.WriteTo(reply, from)
		}
	}()
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return err
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
					reply := dnsReply(query, z.address(query))
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
				}
			}()
		}
	}()
	return nil
}

func dnsReply(query []byte, address string) []byte {
	question := questionOf(query)
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if !isA(query) {
		return reply
	}
	reply[7] = 1
	reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
	return append(reply, netip.MustParseAddr(address).AsSlice()...)
}

func questionOf(query []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	return query[12 : end+5]
}

// isA says whether a query is for an address of IPv4.
func isA(query []byte) bool {
	question := questionOf(query)
	return question[len(question)-3] == 1
}
