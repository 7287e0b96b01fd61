package ship

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const firstMessage = `<11>1 2023-11-14T22:13:20.005000Z box pay i-1 - [dalamb@32473 id="id-0" version="2" stream="stderr" run="r-1"] ERROR one`

func syslog(t *testing.T, o SyslogOptions) *Syslog {
	t.Helper()
	o.Host = "box"
	s, err := NewSyslog(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSyslogGetsAMessageADatagram(t *testing.T) {
	dir, err := os.MkdirTemp("", "l") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for network, address := range map[string]string{"udp": "127.0.0.1:0", "unixgram": filepath.Join(dir, "s")} {
		l, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := syslog(t, SyslogOptions{Network: strings.TrimSuffix(network, "gram"), Address: l.LocalAddr().String()})
		send(t, s, "ERROR one", "two\nlines "+strings.Repeat("ä", 2000))
		b := make([]byte, 1<<16)
		if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := l.ReadFrom(b)
		if got := string(b[:n]); err != nil || got != firstMessage {
			t.Errorf("%s: %s, %v, want %s", network, got, err, firstMessage)
		}
		n, _, err = l.ReadFrom(b)
		if got := string(b[:n]); err != nil || !strings.HasPrefix(got, "<14>1 ") || !strings.Contains(got, "] two lines ää") || n > mostDatagram || n < mostDatagram-2 || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%s: %d bytes %s, %v", network, n, got, err)
		}
	}
}

// countedMessage reads one message of counted octets.
func countedMessage(r *bufio.Reader) (string, error) {
	digits, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSpace(digits))
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

func TestSyslogCountsOctetsInAStreamAndConnectsAgain(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	for _, network := range []string{"tcp", "tls"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		o := SyslogOptions{Network: network, Address: l.Addr().String()}
		if network == "tls" {
			l = tls.NewListener(l, &tls.Config{Certificates: certified.TLS.Certificates})
			o.TLS = &tls.Config{InsecureSkipVerify: true}
		}
		heard := make(chan string, 10)
		go func() { // ends with the listener
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				m, err := countedMessage(bufio.NewReader(conn))
				conn.Close() // after one message
				heard <- fmt.Sprint(m, err)
			}
		}()
		s := syslog(t, o)
		send(t, s, "ERROR one")
		if got := <-heard; got != firstMessage+"<nil>" {
			t.Errorf("%s: %s", network, got)
		}
		for !s.ended() { // the other side's end is on its way
		}
		send(t, s, "ERROR one")
		if got := <-heard; got != firstMessage+"<nil>" {
			t.Errorf("%s, again: %s", network, got)
		}
	}
	distrusted := syslog(t, SyslogOptions{Network: "tls", Address: certified.Listener.Addr().String()})
	if err := distrusted.Send(t.Context(), some("a")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server that is not believed: %v", err)
	}
	if err := distrusted.Check(t.Context()); err == nil {
		t.Error("a server that is not believed can be had")
	}
}

func TestAReceiverOfSyslogThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		here, there := net.Pipe() // takes nothing that is not read
		defer there.Close()
		s := syslog(t, SyslogOptions{Network: network, Address: "x:1"})
		s.conn = here
		if network == "tls" {
			s.conn = tls.Client(here, &tls.Config{InsecureSkipVerify: true})
		}
		s.o.Network = "udp" // no look at the other side, which has not said anything
		ctx, cancel := context.WithCancel(t.Context())
		began := make(chan struct{})
		sent := make(chan error)
		go func() { close(began); sent <- s.Send(ctx, some("one")) }()
		<-began
		cancel()
		select {
		case err := <-sent:
			if err == nil || s.conn != nil {
				t.Errorf("%s: Send = %v, and the connection is kept", network, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: Send does not end with its context", network)
		}
	}
}

func TestWhatAFunctionSaysIsNoSyslog(t *testing.T) {
	l := some("a\n<0>1 - forged\x00")[0]
	l.ID, l.Function, l.Instance = `x"] [y z="`, "a b\n", ""
	s := syslog(t, SyslogOptions{Network: "udp", Address: "x:1", Facility: "local3"})
	want := `<158>1 2023-11-14T22:13:20.005000Z box ab - - [dalamb@32473 id="x\"\] [y z=\"" version="2" stream="stderr" run="r-1"] a <0>1 - forged `
	if got := string(s.message(&l)); got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
}
