// Package broker runs real Apache Kafka brokers on loopback for tests: one, or a cluster of three, each a process of its own that
// can be killed, frozen and started again. It does not speak Kafka's protocol, and nothing of dalamb itself uses it.
//
// Every broker is controller too (KRaft). Memory is small, start is quick (class data sharing, the first compiler alone), and
// what Kafka does now and then it does often, so that tests do not wait for it; see properties.go. A broker lives no longer than
// the process that started it, however that one ends.
package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// User and Password are who may log in where a Listener asks for SASL, by any of its mechanisms.
const (
	User     = "alice"
	Password = "open-sesame"
)

// startTimeout is how long all brokers of a cluster may take to be ready.
const startTimeout = 90 * time.Second

// Options of Start. Zero values are one broker with a plain listener.
type Options struct {
	Brokers   int               // 1 to 9
	Security  bool              // open the listeners other than Plain too
	Heap      string            // of each broker, as Java writes it; default 256m
	FullSpeed bool              // compile as a server does, for measuring: slower to start
	Config    map[string]string // server properties that are stronger than ours
}

// Cluster is some brokers. All methods are safe for concurrent use.
type Cluster struct {
	dist    *Distribution
	options Options
	dir     string
	certs   *certificates // nil without Options.Security
	brokers []*process    // by number, from 0; not changed after Start
}

// Start starts brokers and waits until all of them serve. The caller closes the cluster.
func Start(ctx context.Context, d *Distribution, o Options) (*Cluster, error) {
	o.Brokers = max(o.Brokers, 1)
	if o.Brokers > 9 {
		return nil, fmt.Errorf("start %d brokers: at most 9", o.Brokers)
	}
	if o.Heap == "" {
		o.Heap = "256m"
	}
	dir, err := os.MkdirTemp("", "dalamb-kafka-")
	if err != nil {
		return nil, fmt.Errorf("make the brokers' directory: %w", err)
	}
	c := &Cluster{dist: d, options: o, dir: dir}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if c.options.Security {
		var err error
		if c.certs, err = makeCertificates(c.dir); err != nil {
			return err
		}
	}
	ports, err := freePorts(c.options.Brokers, len(Listeners())+1)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	for i := range c.options.Brokers {
		p := &process{number: i + 1, dir: filepath.Join(c.dir, fmt.Sprint(i+1)), ports: ports[i]}
		if err := c.prepare(p, ports, id); err != nil {
			return err
		}
		c.brokers = append(c.brokers, p)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	errs := make([]error, len(c.brokers))
	var wg sync.WaitGroup
	for i, p := range c.brokers {
		wg.Go(func() { errs[i] = p.start(ctx, c.dist.command(c.options, p.properties())) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// prepare writes what `kafka-storage format` would, and the broker's properties.
func (c *Cluster) prepare(p *process, ports [][]int, clusterID string) error {
	if err := os.MkdirAll(p.data(), 0o700); err != nil {
		return fmt.Errorf("make a broker's directory: %w", err)
	}
	id, err := newID()
	if err != nil {
		return err
	}
	bootstrap, err := os.ReadFile(c.dist.bootstrap())
	if err != nil {
		return fmt.Errorf("read the first metadata: %w", err)
	}
	for name, text := range map[string]string{
		filepath.Join(p.data(), "meta.properties"):      fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n", clusterID, p.number, id),
		filepath.Join(p.data(), "bootstrap.checkpoint"): string(bootstrap),
		p.properties(): render(c.serverProperties(p, ports)),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return fmt.Errorf("prepare a broker: %w", err)
		}
	}
	return nil
}

// render writes Java properties. Every value that is written here is one line without a backslash.
func render(properties map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&b, "%s=%s\n", k, properties[k])
	}
	return b.String()
}

// Bootstrap is the addresses of all brokers' plain listeners, joined by commas.
func (c *Cluster) Bootstrap() string { return c.Addresses(Plain) }

// Addresses is the addresses of one listener of all brokers, joined by commas. Listeners other than Plain are open with
// Options.Security alone.
func (c *Cluster) Addresses(l Listener) string {
	var all []string
	for _, p := range c.brokers {
		all = append(all, p.address(l))
	}
	return strings.Join(all, ",")
}

// Size is how many brokers there are, whether they run or not.
func (c *Cluster) Size() int { return len(c.brokers) }

// Dir is where the certificates and the brokers' directories are; the broker's own log lines are in NUMBER/out.
func (c *Cluster) Dir() string { return c.dir }

// Kill ends broker number (from 1) as a power cut does, and returns when it is gone.
func (c *Cluster) Kill(number int) error { return c.end(number, syscall.SIGKILL) }

// Stop ends broker number as an operator does: it hands over what it leads first. It returns when the broker is gone.
func (c *Cluster) Stop(number int) error { return c.end(number, syscall.SIGTERM) }

// Freeze stops broker number in its tracks; its connections stay open.
func (c *Cluster) Freeze(number int) error { return c.signal(number, syscall.SIGSTOP) }

// Thaw lets a frozen broker go on.
func (c *Cluster) Thaw(number int) error { return c.signal(number, syscall.SIGCONT) }

// Restart starts broker number again after Kill or Stop, on the same addresses, and waits until it serves.
func (c *Cluster) Restart(ctx context.Context, number int) error {
	p, err := c.broker(number)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return p.start(ctx, c.dist.command(c.options, p.properties()))
}

func (c *Cluster) end(number int, s syscall.Signal) error {
	p, err := c.broker(number)
	if err != nil {
		return err
	}
	return p.end(s)
}

func (c *Cluster) signal(number int, s syscall.Signal) error {
	p, err := c.broker(number)
	if err != nil {
		return err
	}
	return p.signal(s)
}

func (c *Cluster) broker(number int) (*process, error) {
	if number < 1 || number > len(c.brokers) {
		return nil, fmt.Errorf("there is no broker %d: there are 1 to %d", number, len(c.brokers))
	}
	return c.brokers[number-1], nil
}

// Close ends all brokers at once and removes what they stored.
func (c *Cluster) Close() error {
	var errs []error
	for _, p := range c.brokers {
		if err := p.end(syscall.SIGKILL); err != nil && !errors.Is(err, errNotRunning) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}
