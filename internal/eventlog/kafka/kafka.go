package kafka

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

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
}

// Log is a Kafka cluster as an event log.
type Log struct {
	client *kgo.Client
	close  sync.Once
}

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
	opts := []kgo.Opt{kgo.SeedBrokers(o.Brokers...), kgo.ClientID(o.ClientID)}
	if o.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(o.TLS))
	}
	if o.SASL != nil {
		opts = append(opts, kgo.SASL(o.SASL))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("make the client of Kafka at %v: %w", o.Brokers, err)
	}
	return &Log{client: client}, nil
}

// Close ends the connections.
func (l *Log) Close() error {
	l.close.Do(l.client.Close)
	return nil
}
