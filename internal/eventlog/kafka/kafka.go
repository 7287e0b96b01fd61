package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Options says which cluster is the log, and as whom this node speaks to it. Brokers and Node are required.
type Options struct {
	Brokers            []string              // host:port of brokers to begin with; the others are learned from them
	TLS                *tls.Config           // nil = plain connections
	SASL               sasl.Mechanism        // nil = none
	Node               string                // this node's name, the same after a restart and no other node's: what its dead predecessor left open is ended by it
	ClientID           string                // how brokers' logs and quotas name this node; "" = dalamb-<Node>
	SessionTimeout     time.Duration         // a member that is silent for longer loses its partitions; 0 = 10 s
	TransactionTimeout time.Duration         // how long a dead node's open transaction may hold back readers; 0 = 10 s
	Replication        int16                 // of topics that CreateTopic makes; 0 = 3, or as many as there are brokers
	Log                *slog.Logger          // nil = nowhere
	Metrics            prometheus.Registerer // nil = nowhere

	hooks hooks
}

// hooks are where tests look in or step in; a node has none.
type hooks struct {
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	beforeEnd  func() // between what a transaction stores and its end
	unstable   func() // a new owner has found a transaction of an owner before that is open
	watchEvery time.Duration
}

// How long a call goes on trying while the cluster is out of order.
const patience = 10 * time.Second

// Log is a Kafka cluster as an event log. It implements eventlog.Log.
type Log struct {
	o            Options
	log          *slog.Logger
	metrics      *metrics
	client       *kgo.Client // for what is answered at once
	topics       topicCache
	lanes        lanes
	txns         txns
	tail         tail
	decompressor kgo.Decompressor
	stamps       stamps
	turn         atomic.Uint32 // counts calls that leave the partition to the log

	life   *span         // ends when Close begins to stop what waits
	closed chan struct{} // closed when Close has ended

	mu      sync.Mutex
	closing bool
	calls   sync.WaitGroup // calls under way; nobody is added once closing is set
	loops   sync.WaitGroup // goroutines of the log
	clients []*kgo.Client
	members map[*member]bool
}

var (
	_ eventlog.Log    = (*Log)(nil)
	_ eventlog.Sharer = (*Log)(nil)
	_ eventlog.Sizer  = (*Log)(nil)
)

// Open makes a Log and does not wait for the cluster: while no broker answers, methods return Unavailable.
func Open(o Options) (*Log, error) {
	if len(o.Brokers) == 0 {
		return nil, fault.New(fault.Invalid, "the Kafka event log needs the address of a broker")
	}
	if o.Node == "" {
		return nil, fault.New(fault.Invalid, "the Kafka event log needs a name for this node")
	}
	if o.ClientID == "" {
		o.ClientID = "dalamb-" + o.Node
	}
	if o.SessionTimeout <= 0 {
		o.SessionTimeout = 10 * time.Second
	}
	if o.TransactionTimeout <= 0 {
		o.TransactionTimeout = 10 * time.Second
	}
	if o.hooks.watchEvery <= 0 {
		o.hooks.watchEvery = watchEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{o: o, log: o.Log, closed: make(chan struct{}), members: make(map[*member]bool)}
	l.life = newSpan(eventlog.ErrClosed)
	l.decompressor = kgo.DefaultDecompressor()
	l.topics.known = make(map[string]*topic)
	l.lanes.of = make(map[place]*lane)
	l.lanes.couriers = make(map[int32]*courier)
	var err error
	if l.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, err
	}
	if err := l.start(); err != nil {
		l.life.end()
		l.closeClients()
		return nil, errors.Join(err, l.metrics.close())
	}
	return l, nil
}

func (l *Log) start() error {
	var err error
	if l.client, err = l.newClient(); err != nil {
		return err
	}
	if l.lanes.client, err = l.newClient(); err != nil {
		return err
	}
	if err := l.tail.init(l); err != nil {
		return err
	}
	if err := l.txns.init(l); err != nil {
		return err
	}
	l.loops.Go(l.watch)
	return nil
}

// maxAnswer bounds an answer of a broker. One that holds a record larger than was asked for comes all the same, whatever other software
// has been allowed to write; a length beyond this is no answer of Kafka but of something else that listens there.
const maxAnswer = 256 << 20

// newClient makes a client, which has connections of its own: Kafka answers the requests of one connection one after
// another, so that who may be kept waiting must not share one with who may not.
func (l *Log) newClient() (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(l.o.Brokers...), kgo.ClientID(l.o.ClientID),
		kgo.RetryTimeout(patience), kgo.DialTimeout(patience / 2), kgo.RequestTimeoutOverhead(patience),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(backoff), kgo.BrokerMaxReadBytes(maxAnswer),
	}
	if l.o.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(l.o.TLS))
	}
	if l.o.hooks.dial != nil {
		opts = append(opts, kgo.Dialer(l.o.hooks.dial))
	}
	if l.o.SASL != nil {
		opts = append(opts, kgo.SASL(l.o.SASL))
	}
	c, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fault.New(fault.Invalid, "use Kafka at %s: %w", strings.Join(l.o.Brokers, ","), err)
	}
	l.mu.Lock()
	l.clients = append(l.clients, c)
	l.mu.Unlock()
	return c, nil
}

// backoff is how long to wait after some failures in a row.
func backoff(fails int) time.Duration {
	return min(500*time.Millisecond, 2*time.Millisecond<<min(max(fails, 0), 10))
}

// pause waits before try n is repeated. Its error is the context's.
func pause(ctx context.Context, n int) error {
	t := time.NewTimer(backoff(n))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter begins a call; leave ends it. The context ends with the caller's and with the log.
func (l *Log) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return nil, nil, eventlog.ErrClosed
	}
	l.calls.Add(1)
	ctx, release := l.life.within(ctx)
	return ctx, func() {
		release()
		l.calls.Done()
	}, nil
}

// Close is eventlog.Log's.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		<-l.closed
		return nil
	}
	l.closing = true
	members := make([]*member, 0, len(l.members))
	for m := range l.members {
		members = append(members, m)
	}
	l.mu.Unlock()
	defer close(l.closed)
	// Appends under way are waited for: they end by themselves, in the time of patience at most.
	l.lanes.wait()
	l.txns.wait()
	l.life.end()
	for _, m := range members {
		m.abandon()
	}
	l.calls.Wait()
	l.loops.Wait()
	l.closeClients()
	return l.metrics.close()
}

func (l *Log) closeClients() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.clients {
		c.Close()
	}
}

// stamps gives times that never go back, whatever the machine's clock does.
type stamps struct {
	mu   sync.Mutex
	last int64 // milliseconds
}

func (s *stamps) now() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, time.Now().UnixMilli())
	return s.last
}

// action wraps an error with what was being done; kinds and hints stay.
func action(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
