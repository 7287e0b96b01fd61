package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/certificate"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/doctor"
	"github.com/dalamb/dalamb/internal/ship"
	"github.com/dalamb/dalamb/internal/wire"
)

// openShip makes what ships functions' log lines, where the configuration names sinks.
func (n *Node) openShip() error {
	var targets []ship.Target
	for _, s := range n.config.Logs.Ship {
		sink, err := n.openSink(s)
		if err != nil {
			return err
		}
		targets = append(targets, ship.Target{Name: s.Name, Sink: sink, Wants: access.Grant{Functions: s.Functions}.Covers, Level: s.Level})
	}
	if targets == nil {
		return nil
	}
	var err error
	n.ship, err = ship.New(ship.Options{Log: n.log, Targets: targets, Logger: n.logger, Metrics: n.metrics})
	return err
}

// openSink makes the sink of a line of the configuration. It connects to nobody.
func (n *Node) openSink(s config.Sink) (ship.Sink, error) {
	var trust *tls.Config
	if s.CA != "" {
		pool, err := certificate.Roots(s.CA)
		if err != nil {
			return nil, fmt.Errorf("read the authority of sink %s: %w", s.Name, err)
		}
		trust = &tls.Config{RootCAs: pool}
	}
	switch s.Kind {
	case config.SinkStdout:
		return ship.NewStream(n.stdout, s.Text), nil
	case config.SinkFile:
		return ship.NewFile(ship.FileOptions{Path: s.Address, Text: s.Text, Size: int64(s.Size), Age: s.Age.Std(), Keep: s.Keep, Gzip: s.Gzip}), nil
	case config.SinkSyslog:
		return ship.NewSyslog(ship.SyslogOptions{Network: s.Network, Address: s.Address, Facility: s.Facility, TLS: trust})
	}
	o := ship.HTTPOptions{URL: s.Address, Header: s.Header, Value: n.headerValue(s), TLS: trust}
	if s.Kind == config.SinkOTLP {
		return ship.NewOTLP(o), nil
	}
	return ship.NewHTTP(o), nil
}

// headerValue reads what a sink is shown, each time anew; nil = nothing.
func (n *Node) headerValue(s config.Sink) func() (string, error) {
	switch {
	case s.ValueFile != "":
		return func() (string, error) {
			text, err := os.ReadFile(s.ValueFile)
			return strings.TrimRight(string(text), "\r\n"), err
		}
	case s.ValueSecret != "":
		return func() (string, error) {
			text, _, err := n.opened.open(s.ValueSecret)
			return strings.TrimRight(string(text), "\r\n"), err
		}
	}
	return nil
}

// shipping is how the sinks do, for the API.
func (n *Node) shipping() []wire.Shipping {
	if n.ship == nil {
		return nil
	}
	var all []wire.Shipping
	for _, s := range n.ship.States() {
		w := wire.Shipping{Sink: s.Name, Behind: s.Behind}
		if s.Failing != nil {
			w.Failing, w.Since = s.Failing.Error(), &s.Since
		}
		all = append(all, w)
	}
	return all
}

// trySinks looks whether each sink could take lines. It sends none. Secrets are in the log, and so a running node's to look at.
func (n *Node) trySinks(ctx context.Context) (all []doctor.Finding) {
	for _, s := range n.config.Logs.Ship {
		what := "log sink " + s.Name
		sink, err := n.openSink(s)
		if err == nil {
			trying, cancel := context.WithTimeout(ctx, doctorPatience)
			err = sink.Check(trying)
			cancel()
			sink.Close()
		}
		if value := n.headerValue(s); err == nil && s.ValueFile != "" {
			_, err = value()
		}
		if err != nil {
			all = append(all, doctor.Lacking(doctor.Warning, what, "until it takes lines they wait in the log, for as long as _dalamb.logs keeps them; docs/logs.md", "%v", err))
			continue
		}
		if s.ValueSecret != "" {
			all = append(all, doctor.Good(what, "%s can be had, with the secret %s, which a running node is asked for", s.Kind, s.ValueSecret))
			continue
		}
		all = append(all, doctor.Good(what, "%s can be had", s.Kind))
	}
	return all
}
