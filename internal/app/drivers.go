package app

import (
	"cmp"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
	"github.com/dalamb/dalamb/internal/runner/oci"
	"github.com/dalamb/dalamb/internal/runner/process"
)

// Every driver that a node can have is named in this file and nowhere else.

// openLog opens the event log that the configuration names.
func openLog(n *Node) (eventlog.Log, error) {
	if n.config.EventLog.Kafka != nil {
		return openKafka(n, kafkaUse{cluster: n.config.EventLog.Kafka, metrics: n.metrics, flag: "--log"})
	}
	l, err := disk.Open(disk.Options{Dir: filepath.Join(n.config.Data, logDir), Log: n.logger, Metrics: n.metrics})
	if err != nil {
		return nil, err // and not a *disk.Log that is nil
	}
	return l, nil
}

// kafkaUse is what a node has a cluster open for.
type kafkaUse struct {
	cluster *config.Kafka
	as      string                // follows the node's id in the name that the cluster knows it by
	metrics prometheus.Registerer // nil = none
	flag    string                // the one that names the cluster, for complaints about its options
}

func openKafka(n *Node, use kafkaUse) (eventlog.Log, error) {
	k := use.cluster
	o := kafka.Options{
		Brokers: k.Brokers, SessionTimeout: k.SessionTimeout.Std(), Replication: k.Replication, Log: n.logger, Metrics: use.metrics,
	}
	var err error
	if o.TLS, err = encryption(k); err != nil {
		return nil, said(use.flag, err)
	}
	if o.SASL, err = identity(k, n.getenv); err != nil {
		return nil, said(use.flag, err)
	}
	if o.Node, err = nodeID(n.config.Data); err != nil {
		return nil, err
	}
	o.Node += use.as
	l, err := kafka.Open(o)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// runnerState is the directory of a runner's state.
func runnerState(c *config.Node, name string) string {
	return filepath.Join(c.Data, "run", strings.ReplaceAll(name, ":", "-"))
}

// openRunner opens the runner of a name; metrics may be nil.
func openRunner(c *config.Node, name string, logger *slog.Logger, metrics prometheus.Registerer) (runner.Runner, error) {
	state, ids := runnerState(c, name), native.IDs{First: c.Sandbox.IDs.First, Count: c.Sandbox.IDs.Count}
	switch runtime, isOCI := strings.CutPrefix(name, oci.Prefix); {
	case name == "native":
		return native.New(native.Options{StateDir: state, Log: logger, Metrics: metrics, Spare: cmp.Or(c.Sandbox.Spares, -1), IDs: ids})
	case name == "process":
		return process.New(process.Options{StateDir: state, Log: logger})
	case isOCI:
		r, err := oci.New(oci.Options{Runtime: runtime, StateDir: state, Log: logger, IDs: ids})
		if err != nil {
			return nil, err // and not an *oci.Runner that is nil
		}
		return r, nil
	}
	return nil, fault.Missing("runner", name, nil).WithHint("runners: native (fences functions), %s%s (the same by an OCI runtime), process (does not fence)",
		oci.Prefix, strings.Join(oci.Runtimes(), ", "+oci.Prefix))
}
