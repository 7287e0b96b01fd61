package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
)

// asParent makes the test program start a broker and wait to be killed; see TestABrokerDiesWithWhoStartedIt.
const asParent = "DALAMB_TEST_BROKER_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) == "" {
		os.Exit(m.Run())
	}
	d, err := broker.Find()
	if err != nil {
		os.Exit(1)
	}
	c, err := broker.Start(context.Background(), d, broker.Options{})
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString(c.Bootstrap() + " " + c.Dir() + "\n")
	select {}
}

func TestBrokersCanBeKilledFrozenAndStartedAgain(t *testing.T) {
	c := need.KafkaCluster(t, broker.Options{Brokers: 3})
	addresses := strings.Split(c.Bootstrap(), ",")
	if len(addresses) != 3 || c.Size() != 3 {
		t.Fatalf("Bootstrap() = %q of %d, want three addresses", c.Bootstrap(), c.Size())
	}
	if err := c.Kill(2); err != nil {
		t.Fatal(err)
	}
	for i, a := range addresses {
		if got, want := takes(a), i != 1; got != want {
			t.Errorf("after Kill(2) broker %d takes connections = %v, want %v", i+1, got, want)
		}
	}
	for name, err := range map[string]error{"Kill": c.Kill(2), "Freeze": c.Freeze(2), "Stop": c.Stop(4)} {
		if err == nil {
			t.Errorf("%s of a broker that does not run: no error", name)
		}
	}
	if err := c.Restart(t.Context(), 1); err == nil {
		t.Error("Restart of a broker that runs: no error")
	}
	if err := c.Restart(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if !takes(addresses[1]) {
		t.Error("after Restart(2) it takes no connections on its old address")
	}
	if err := c.Freeze(3); err != nil {
		t.Fatal(err)
	}
	if err := c.Thaw(3); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(3); err != nil {
		t.Fatal(err)
	}
	if takes(addresses[2]) {
		t.Error("after Stop(3) it takes connections")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Dir()); !os.IsNotExist(err) {
		t.Errorf("after Close the directory is there: %v", err)
	}
}

func TestListenersHoldToTheirCertificates(t *testing.T) {
	c := need.KafkaCluster(t, broker.Options{Security: true})
	client, err := tls.LoadX509KeyPair(filepath.Join(c.Dir(), broker.ClientFile), filepath.Join(c.Dir(), broker.ClientKey))
	if err != nil {
		t.Fatal(err)
	}
	ours, other := roots(t, c, broker.CAFile), roots(t, c, broker.OtherCAFile)
	for _, tt := range []struct {
		name     string
		listener broker.Listener
		config   *tls.Config
		want     bool
	}{
		{"the CA", broker.TLS, &tls.Config{RootCAs: ours}, true},
		{"another CA", broker.TLS, &tls.Config{RootCAs: other}, false},
		{"another name", broker.TLS, &tls.Config{RootCAs: ours, ServerName: "localhost"}, false},
		{"SASL over TLS", broker.SASLTLS, &tls.Config{RootCAs: ours}, true},
		{"mutual", broker.Mutual, &tls.Config{RootCAs: ours, Certificates: []tls.Certificate{client}}, true},
		{"mutual without a certificate", broker.Mutual, &tls.Config{RootCAs: ours}, false},
	} {
		err := shake(c.Addresses(tt.listener), tt.config)
		if got := err == nil; got != tt.want {
			t.Errorf("%s: TLS with %s = %v, want ok %v", tt.name, tt.listener, err, tt.want)
		}
	}
}

func TestABrokerDiesWithWhoStartedIt(t *testing.T) {
	need.Kafka(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asParent+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 1024)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("the parent did not say where its broker is: %v", err)
	}
	address, dir, _ := strings.Cut(strings.TrimSpace(string(line[:n])), " ")
	if !takes(address) {
		t.Fatalf("no broker at %q", address)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // by the kill
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for {
		_, err := os.Stat(dir)
		if os.IsNotExist(err) && !takes(address) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("twenty seconds after its parent's death the broker takes connections: %v, its directory: %v", takes(address), err)
		}
	}
}

func takes(address string) bool {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// shake shakes hands and asks for the broker's API versions: with TLS 1.3 a client learns only then that it was refused.
func shake(address string, config *tls.Config) error {
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	// Length, ApiVersions (18), version 0, correlation id, an empty client id.
	if _, err := c.Write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0, 0}); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 4))
	return err
}

func roots(t *testing.T, c *broker.Cluster, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.Dir(), file))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", file)
	}
	return pool
}
