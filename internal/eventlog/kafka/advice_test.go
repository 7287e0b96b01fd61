package kafka_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
)

// TestAdviceTellsWhatIsUnsafe asks about the topics of one broker, of three, and of three that hold a topic in one copy.
func TestAdviceTellsWhatIsUnsafe(t *testing.T) {
	open := func(c *broker.Cluster, replication int16) *kafka.Log {
		t.Helper()
		l, err := kafka.Open(kafka.Options{Brokers: strings.Split(c.Bootstrap(), ","), Node: "adviser", Replication: replication})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	create := func(l *kafka.Log, name string) {
		t.Helper()
		if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: name, Partitions: 1}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(l *kafka.Log, parts ...string) {
		t.Helper()
		advice, err := l.Advise(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(advice) != len(parts) {
			t.Fatalf("Advise = %q, want %d notes: %q", advice, len(parts), parts)
		}
		for _, p := range parts {
			if !slices.ContainsFunc(advice, func(s string) bool { return strings.Contains(s, p) }) {
				t.Errorf("Advise = %q, want %q among it", advice, p)
			}
		}
	}
	one := open(need.KafkaCluster(t, broker.Options{}), 0)
	want(one)
	create(one, "_dalamb.control")
	create(one, "orders") // somebody else's: not ours to judge
	want(one, "at least 1, of topic _dalamb.control (brokers: 1)", "min.insync.replicas is below 2 on topic _dalamb.control:")

	cluster := need.KafkaCluster(t, broker.Options{Brokers: 3})
	create(open(cluster, 0), "_dalamb.control")
	want(open(cluster, 0))
	create(open(cluster, 1), "_dalamb.runs")
	want(open(cluster, 0), "of topic _dalamb.runs (brokers: 3)", "min.insync.replicas is below 2 on topic _dalamb.runs:")
}

// TestAdviceTellsWhichRightsAreLacking lets a user in who may look at the topics, and not much else.
func TestAdviceTellsWhichRightsAreLacking(t *testing.T) {
	c := need.KafkaCluster(t, broker.Options{Config: map[string]string{
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS",
	}, Security: true})
	l, err := kafka.Open(kafka.Options{Brokers: []string{c.Bootstrap()}, Node: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: "_dalamb.control", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	allow(t, c.Bootstrap(), "User:"+broker.User, "_dalamb.control")
	user, err := kafka.Open(kafka.Options{Brokers: []string{c.Addresses(broker.SASL)}, Node: "user", SASL: scramUser()})
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	advice, err := user.Advise(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const want = "this user may not Write, Alter, Delete, AlterConfigs on topic _dalamb.control"
	if !slices.Contains(advice, want) {
		t.Errorf("Advise = %q, want %q among it", advice, want)
	}
}

func scramUser() sasl.Mechanism {
	return scram.Auth{User: broker.User, Pass: broker.Password}.AsSha256Mechanism()
}

// allow lets a user read a topic and look at its settings.
func allow(t *testing.T, address, user, topic string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	rules := kadm.NewACLs().Topics(topic).Allow(user).AllowHosts().
		Operations(kadm.OpRead, kadm.OpDescribe, kadm.OpDescribeConfigs).ResourcePatternType(kadm.ACLPatternLiteral)
	results, err := kadm.NewClient(client).CreateACLs(t.Context(), rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}
