package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/dalamb/dalamb/internal/need"
)

// names answers every question for an address with 127.0.0.1, by TCP, and returns where.
func names(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answerNames(c)
		}
	}()
	return l.Addr().String()
}

// answerNames answers one connection: RFC 1035, section 4.2.2.
func answerNames(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	for {
		var size uint16
		if binary.Read(c, binary.BigEndian, &size) != nil {
			return
		}
		asked := make([]byte, size)
		if _, err := io.ReadFull(c, asked); err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(asked) != nil || len(m.Questions) != 1 {
			return
		}
		m.Response, m.Additionals = true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			}}
		}
		answer, err := m.AppendPack(make([]byte, 2))
		if err != nil {
			return
		}
		binary.BigEndian.PutUint16(answer, uint16(len(answer)-2))
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// free is an address that nobody has just now.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// pebble starts the ACME server that Let's Encrypt tests clients with; it checks names at a port of 127.0.0.1.
type pebble struct {
	directory string
	trust     string         // file with the authority of the directory
	roots     *x509.CertPool // of what it gives
	stop      func()
}

func startPebble(t *testing.T, port int) *pebble {
	t.Helper()
	program := need.Program(t, "pebble")
	a := authority(t, newClock())
	own := server(t, a, "127.0.0.1")
	p := &pebble{trust: a.Path()}
	listen, manage := free(t), free(t)
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": manage, "certificate": own.Cert, "privateKey": own.Key, "httpPort": 1, "tlsPort": port,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	file := filepath.Join(t.TempDir(), "pebble.json")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-config", file, "-dnsserver", names(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		p.stop = func() {}
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("pebble said:\n%s", said.Bytes())
		}
	})
	p.directory = "https://" + listen + "/dir"
	trust, err := readPool(a.Path())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}}
	p.roots = x509.NewCertPool()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		<-tick.C
		resp, err := client.Get("https://" + manage + "/roots/0")
		if err != nil {
			continue
		}
		root, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && p.roots.AppendCertsFromPEM(root) {
			return p
		}
	}
	t.Fatal("pebble does not answer")
	return nil
}

func TestCertificatesByACME(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := startPebble(t, l.Addr().(*net.TCPAddr).Port)
	o := Options{ACME: ACME{Domains: []string{"shop.example", "www.shop.example"}, Directory: p.directory, CA: p.trust, Email: "ops@shop.example", Dir: filepath.Join(t.TempDir(), "acme")}}
	serve := func(l net.Listener) *http.Server {
		s, err := NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		web := &http.Server{TLSConfig: s.Public(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })}
		go func() { _ = web.ServeTLS(l, "", "") }() // ends when it is closed
		t.Cleanup(func() { web.Close() })
		return web
	}
	web := serve(l)
	get := func(address, name string) (string, error) {
		client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: p.roots, ServerName: name}}}
		defer client.CloseIdleConnections()
		resp, err := client.Get("https://" + address)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	}
	for _, name := range []string{"shop.example", "www.shop.example"} {
		if got, err := get(l.Addr().String(), name); err != nil || got != "HTTP/2.0" {
			t.Fatalf("%s: %q, %v; want an answer by HTTP/2 with a certificate of Pebble's", name, got, err)
		}
	}
	if _, err := get(l.Addr().String(), "evil.example"); err == nil {
		t.Error("a name that was not asked for has a certificate")
	}
	files, err := filepath.Glob(filepath.Join(o.ACME.Dir, "*"))
	if err != nil || len(files) < 3 { // the account's key, and one for each name
		t.Errorf("kept: %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v; want 0600", f, info.Mode(), err)
		}
	}
	// After a restart what is kept is shown, whoever gave it is there or not; also to a client that names nobody.
	web.Close()
	p.stop()
	again, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(again)
	if got, err := get(again.Addr().String(), "shop.example"); err != nil || got != "HTTP/2.0" {
		t.Errorf("after a restart: %q, %v", got, err)
	}
	c, err := tls.Dial("tcp", again.Addr().String(), &tls.Config{RootCAs: p.roots, InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("a client that names nobody: %v", err)
	}
	defer c.Close()
	if err := c.ConnectionState().PeerCertificates[0].VerifyHostname("shop.example"); err != nil {
		t.Errorf("a client that names nobody: %v", err)
	}
}
