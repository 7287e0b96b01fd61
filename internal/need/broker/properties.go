package broker

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// Listener is a way to reach a broker.
type Listener int

// The listeners of each broker.
const (
	Plain   Listener = iota // neither encrypted nor asks who it is
	TLS                     // the broker shows a certificate
	Mutual                  // so does the client
	SASL                    // PLAIN and SCRAM-SHA-256/512, not encrypted
	SASLTLS                 // the same, encrypted
)

// Listeners are all of them, in the order of their numbers.
func Listeners() []Listener { return []Listener{Plain, TLS, Mutual, SASL, SASLTLS} }

func (l Listener) String() string { return [...]string{"PLAIN", "TLS", "MUTUAL", "SASL", "SASLTLS"}[l] }

func (l Listener) protocol() string {
	return [...]string{"PLAINTEXT", "SSL", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}[l]
}

// open says which listeners the cluster has.
func (c *Cluster) open() []Listener {
	if c.options.Security {
		return Listeners()
	}
	return []Listener{Plain}
}

// serverProperties are those of one broker; ports are all brokers'.
func (c *Cluster) serverProperties(p *process, ports [][]int) map[string]string {
	controller := len(Listeners())
	var voters, listeners, advertised []string
	protocols := []string{"CONTROLLER:PLAINTEXT"}
	for i, of := range ports {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, of[controller]))
	}
	for _, l := range c.open() {
		advertised = append(advertised, fmt.Sprintf("%s://%s", l, p.address(l)))
		protocols = append(protocols, fmt.Sprintf("%s:%s", l, l.protocol()))
	}
	listeners = append(advertised, fmt.Sprintf("CONTROLLER://127.0.0.1:%d", p.ports[controller]))
	all := quick(c.options.Brokers)
	maps.Copy(all, map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(p.number),
		"log.dirs":                       p.data(),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"controller.listener.names":      "CONTROLLER",
		"inter.broker.listener.name":     Plain.String(),
		"listeners":                      strings.Join(listeners, ","),
		"advertised.listeners":           strings.Join(advertised, ","),
		"listener.security.protocol.map": strings.Join(protocols, ","),
	})
	if c.certs != nil {
		maps.Copy(all, c.certs.serverProperties())
		maps.Copy(all, saslProperties())
	}
	maps.Copy(all, c.options.Config)
	return all
}

// quick are the properties that make a broker small, and quick to do what it else does every few minutes.
func quick(brokers int) map[string]string {
	copies := strconv.Itoa(min(brokers, 3))
	inSync := strconv.Itoa(min(brokers, 2))
	return map[string]string{
		// A test that needs a topic makes it, as dalamb does.
		"auto.create.topics.enable": "false",

		"offsets.topic.num.partitions":                     "4",
		"offsets.topic.replication.factor":                 copies,
		"transaction.state.log.num.partitions":             "4",
		"transaction.state.log.replication.factor":         copies,
		"transaction.state.log.min.isr":                    inSync,
		"share.coordinator.state.topic.num.partitions":     "1",
		"share.coordinator.state.topic.replication.factor": copies,
		"share.coordinator.state.topic.min.isr":            inSync,

		// Groups: a member counts at once, and a dead one is missed soon if it asked for that.
		"group.initial.rebalance.delay.ms":         "0",
		"group.min.session.timeout.ms":             "500",
		"group.consumer.min.session.timeout.ms":    "500",
		"group.consumer.session.timeout.ms":        "5000",
		"group.consumer.min.heartbeat.interval.ms": "100",
		"group.consumer.heartbeat.interval.ms":     "500",
		"offsets.retention.check.interval.ms":      "1000",

		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
		"transaction.remove.expired.transaction.cleanup.interval.ms":  "10000",

		// Retention, compaction and the removal of files.
		"log.initial.task.delay.ms":       "500",
		"log.retention.check.interval.ms": "500",
		"log.cleaner.backoff.ms":          "500",
		"log.segment.delete.delay.ms":     "100",

		// A broker that is away is missed after seconds.
		"broker.heartbeat.interval.ms":            "250",
		"broker.session.timeout.ms":               "3000",
		"replica.lag.time.max.ms":                 "4000",
		"replica.fetch.wait.max.ms":               "100",
		"controller.quorum.election.timeout.ms":   "500",
		"controller.quorum.fetch.timeout.ms":      "1500",
		"leader.imbalance.check.interval.seconds": "5",
		"controlled.shutdown.enable":              "true",

		// Memory and threads.
		"log.cleaner.dedupe.buffer.size":    "8388608",
		"log.cleaner.io.buffer.size":        "262144",
		"log.index.size.max.bytes":          "1048576",
		"num.network.threads":               "2",
		"num.io.threads":                    "4",
		"background.threads":                "2",
		"num.recovery.threads.per.data.dir": "1",
	}
}

// saslProperties let User in with Password. The SCRAM credentials are in the first metadata; see Distribution.
func saslProperties() map[string]string {
	all := map[string]string{}
	for _, l := range []Listener{SASL, SASLTLS} {
		name := "listener.name." + strings.ToLower(l.String()) + "."
		all[name+"sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
		all[name+"plain.sasl.jaas.config"] = fmt.Sprintf(
			`org.apache.kafka.common.security.plain.PlainLoginModule required user_%s="%s";`, User, Password)
		for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
			all[name+mechanism+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
		}
	}
	return all
}
