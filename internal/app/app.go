// Package app wires a node from its rooms, serves until told to stop, and takes it down in reverse. It decides nothing itself.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/alert"
	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/audit"
	"github.com/dalamb/dalamb/internal/await"
	"github.com/dalamb/dalamb/internal/aws"
	"github.com/dalamb/dalamb/internal/body"
	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/callback"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/certificate"
	"github.com/dalamb/dalamb/internal/codeshare"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/console"
	"github.com/dalamb/dalamb/internal/deliver"
	"github.com/dalamb/dalamb/internal/deliver/follow"
	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/deliver/incoming"
	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/discovery/dns"
	"github.com/dalamb/dalamb/internal/dispatch"
	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/gateway"
	"github.com/dalamb/dalamb/internal/health"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/idempotency"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/image/registry"
	"github.com/dalamb/dalamb/internal/nodes"
	"github.com/dalamb/dalamb/internal/provision"
	"github.com/dalamb/dalamb/internal/purge"
	"github.com/dalamb/dalamb/internal/quota"
	"github.com/dalamb/dalamb/internal/replay"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/seal"
	"github.com/dalamb/dalamb/internal/secret"
	"github.com/dalamb/dalamb/internal/shadow"
	"github.com/dalamb/dalamb/internal/ship"
	"github.com/dalamb/dalamb/internal/source/hook"
	"github.com/dalamb/dalamb/internal/telemetry"
	"github.com/dalamb/dalamb/internal/tracing"
	"github.com/dalamb/dalamb/internal/upstream"
)

// Options of New.
type Options struct {
	Config      *config.Node
	Version     string // of this binary
	Logger      *slog.Logger
	Level       *slog.LevelVar           // of Logger, for Reload; nil = it stays as it is
	Stdout      io.Writer                // where functions' log lines go that are shipped to stdout; nil = nowhere
	Ready       func(*Node)              // called by Run once the node serves and NodeFile is there; may be nil
	Waiting     func(*Node, error)       // called by Run, once, when the log cannot be reached and the control listener says so; may be nil
	Environment func(name string) string // for settings that name a variable; nil = none is set
}

// Node is a node: opened, not yet serving.
type Node struct {
	config  *config.Node // as the node was started
	taken   configured
	version string
	logger  *slog.Logger
	level   *slog.LevelVar
	started time.Time
	stdout  io.Writer
	ready   func(*Node)
	waiting func(*Node, error)
	getenv  func(string) string

	metrics    *prometheus.Registry
	otlp       *telemetry.OTLP
	tracer     *tracing.Tracer // nil = nothing is traced
	lock       io.Closer       // of the data directory; nil where the log has one of its own
	log        eventlog.Log
	stored     eventlog.Log // as log, and what is sealed stays so; its Close is log's
	seals      *seal.Log
	catalog    *catalog.Catalog
	history    *history.History
	runner     *runner.Choice
	ability    runner.Ability
	code       *image.Store
	builds     *build.Builds
	share      *codeshare.Store
	blobs      *image.Blobs
	layers     *image.Layers
	images     *provision.Keeper
	registry   *registry.Registry
	secrets    *secret.Box
	removals   removals
	opened     *opened
	puller     *pull.Puller
	follower   *follow.Follower
	fleet      *fleet.Fleet
	health     *health.Health
	audit      *audit.Keeper // nil = none
	nodes      *nodes.Nodes  // nil = there can be no others
	services   *discovery.Discovery
	upstreams  *upstream.Upstreams
	dispatcher *dispatch.Dispatcher
	replays    *replay.Keeper
	rollouts   *deliver.Keeper
	purges     *purge.Follower
	quotas     *quota.Quotas
	awaits     *await.Follower
	bodies     *body.Store
	keys       *idempotency.Keys
	callback   *callback.Keeper
	shadow     *shadow.Shadow
	gateway    *gateway.Gateway
	api        *api.API
	aws        *aws.Lambda
	events     *aws.EventBridge
	console    *console.Console
	git        *git.Server
	incoming   *incoming.Keeper
	refusals   *hook.Refusals
	sink       *logSink
	alerts     *alert.Keeper
	ship       *ship.Ship // nil = lines are shipped nowhere

	gatewayListener, controlListener net.Listener
	dns                              *dns.Server         // nil = none
	redirectListener                 net.Listener        // nil = none
	tls                              *certificate.Server // nil = plain HTTP
	gatewayServer, controlServer     *http.Server

	parts  *parts
	stopBy time.Time // when the drain time is over; set by Run before it stops the parts
}

// New opens the data directory, takes the two ports, checks that the machine can fence functions, and removes what a killed
// node left. Nothing is served and no event is dispatched before Run. On an error everything is closed again.
func New(ctx context.Context, o Options) (*Node, error) {
	c := *o.Config
	var err error
	if c.Data, err = filepath.Abs(c.Data); err != nil { // sandboxes are made from elsewhere
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	n := &Node{config: &c, taken: configured{now: o.Config}, version: o.Version, logger: o.Logger, level: o.Level, stdout: o.Stdout, ready: o.Ready, waiting: o.Waiting, started: time.Now(), parts: newParts(), removals: newRemovals(), metrics: telemetry.Registry(), getenv: o.Environment}
	if n.getenv == nil {
		n.getenv = func(string) string { return "" }
	}
	if n.stdout == nil {
		n.stdout = io.Discard
	}
	if err := n.open(ctx); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) error {
	c := n.config
	if err := OpenData(c.Data); err != nil {
		return err
	}
	last := newTakeover(c.Data, n.logger)
	var err error
	if c.EventLog.Kafka != nil {
		if n.lock, err = taken(ctx, last, func() (io.Closer, error) { return lockData(c.Data) }); err != nil {
			return err
		}
	}
	if n.log, err = taken(ctx, last, func() (eventlog.Log, error) { return openLog(n) }); err != nil {
		return err
	}
	if err := durable.Sweep(c.Data); err != nil { // not before the log is open: until then it may be another node's
		return err
	}
	if n.gatewayListener, err = taken(ctx, last, func() (net.Listener, error) { return listen("gateway", c.Gateway) }); err != nil {
		return err
	}
	if n.controlListener, err = taken(ctx, last, func() (net.Listener, error) { return listen("control", c.Control) }); err != nil {
		return err
	}
	if err := n.openTLS(); err != nil {
		return err
	}
	if n.dns, err = taken(ctx, last, n.openDNS); err != nil {
		return err
	}
	token, err := loadToken(c.Data)
	if err != nil {
		return err
	}
	if err := n.openSecrets(ctx); err != nil {
		return err
	}
	if err := n.openSeals(); err != nil {
		return err
	}
	if err := n.openRunner(ctx); err != nil {
		return err
	}
	if n.code, err = image.Open(filepath.Join(c.Data, "code")); err != nil {
		return err
	}
	if err := n.openBuilds(token); err != nil {
		return err
	}
	if err := n.openImages(); err != nil {
		return err
	}
	if n.catalog, err = catalog.New(catalog.Options{Log: n.log, Snapshot: stored(filepath.Join(c.Data, "catalog.json")), Logger: n.logger}); err != nil {
		return err
	}
	if n.history, err = history.Open(history.Options{Log: n.log, Dir: filepath.Join(c.Data, "history"), Logger: n.logger}); err != nil {
		return err
	}
	n.share, err = codeshare.New(codeshare.Options{Log: n.log, Local: n.code, Versions: functions{n.catalog}, Logger: n.logger})
	if err != nil {
		return err
	}
	if err := n.openProvision(); err != nil {
		return err
	}
	return n.wire(token)
}

// Run serves until ctx is done, then stops gently: it takes no more, finishes what runs, commits, and leaves. It returns early
// with an error when a part of the node fails.
func (n *Node) Run(ctx context.Context) error {
	defer n.close()
	if err := n.reach(ctx); err != nil {
		os.Remove(filepath.Join(n.config.Data, NodeFile)) // there when the node has waited
		return errors.Join(unlessStopped(ctx, err), n.parts.stop())
	}
	n.advise(ctx)
	n.parts.start("log sink", func(ctx context.Context) error { n.sink.run(ctx); return nil })
	if n.audit != nil {
		n.parts.start("audit", n.audit.Run) // ends after all that writes to the log
	}
	n.parts.start("keys of sealed topics", n.followSeals)
	n.parts.start("history", n.history.Run)
	n.parts.start("services", n.services.Run)
	if n.nodes != nil {
		n.parts.start("other nodes", n.nodes.Run)
	}
	n.parts.start("replays", n.replays.Run)
	n.parts.start("code janitor", n.tidyCode)
	n.parts.start("code from other nodes", n.share.Run)
	n.parts.start("image uploads", n.registry.Run)
	n.parts.start("images of functions", n.images.Run)
	n.parts.start("git repositories", n.git.Run)
	n.parts.start("pushed images", n.follower.Run)
	n.parts.start("idempotency keys", n.keys.Run)
	n.parts.start("gateway recorder", n.gateway.Run) // records also calls that end with the fleet, and waits for those that clients have left
	n.parts.start("fleet", n.fleet.Run)
	n.parts.start("purges of caches", n.purges.Run)
	n.parts.start("answers that are events", n.awaits.Run)
	n.parts.start("upstreams", n.serveUpstreams) // ends what the fleet and the gateway wait for
	n.parts.start("fleet drain", n.drainFleet)
	n.parts.start("health", n.health.Run)
	n.parts.start("copies for new versions", n.shadow.Run)
	// These stop at the same time, so that the drain time passes once and not once for each.
	drain := n.config.Drain.Std()
	n.parts.start("dispatch and listeners", together(
		n.dispatcher.Run, n.builds.Serve, serve(n.controlServer, n.controlListener, drain), serve(n.gatewayServer, n.gatewayListener, drain), n.redirect(drain), n.serveDNS))
	if err := writeNode(n.config.Data, n.Info()); err != nil {
		return errors.Join(err, n.parts.stop())
	}
	n.logger.Info("node is up", "gateway", n.Info().Gateway, "control", n.Info().Control, "data", n.config.Data, "log", n.config.EventLog.Place(), "runner", n.runner.Name(), "version", n.version, "settings", n.config.Sources)
	if n.ready != nil {
		n.ready(n)
	}
	select {
	case <-ctx.Done():
		n.logger.Info("node is stopping", "drain", n.config.Drain)
	case <-n.parts.fail:
	}
	n.stopBy = time.Now().Add(drain)
	os.Remove(filepath.Join(n.config.Data, NodeFile))
	return n.parts.stop()
}

// drainFleet waits for the stop, then lets running functions finish in what is left of the drain time. It is a part of its own
// so that it stops after dispatch and the listeners, and before the log.
func (n *Node) drainFleet(ctx context.Context) error {
	<-ctx.Done()
	late, cancel := context.WithDeadline(context.WithoutCancel(ctx), n.stopBy)
	defer cancel()
	if err := n.fleet.Drain(late); err != nil {
		n.logger.Warn("functions were stopped before they had finished", "err", err)
	}
	return nil
}

// close frees what New opened, in reverse.
func (n *Node) close() {
	for _, l := range []net.Listener{n.gatewayListener, n.controlListener, n.redirectListener} {
		if l != nil {
			l.Close() // closed already after a serve; then there is nothing to do
		}
	}
	if n.dns != nil {
		n.dns.Close() // as the listeners
	}
	if n.ship != nil {
		if err := n.ship.Close(); err != nil {
			n.logger.Warn("close the sinks of log lines", "err", err)
		}
	}
	n.closeOTLP()
	if n.runner != nil {
		if err := n.runner.Close(); err != nil {
			n.logger.Warn("close the runner", "err", err)
		}
	}
	if n.history != nil {
		if err := n.history.Close(); err != nil {
			n.logger.Warn("close the history", "err", err)
		}
	}
	if n.log != nil {
		if err := n.log.Close(); err != nil {
			n.logger.Error("close the log", "err", err)
		}
	}
	if n.lock != nil {
		if err := n.lock.Close(); err != nil {
			n.logger.Warn("give the data directory back", "err", err)
		}
	}
}

// listen takes a port, or says in one line why not.
func listen(what, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the %s listener cannot have %s: %w", what, addr, err).
			WithHint("choose another address with --%s HOST:PORT, or stop who has this one", what)
	}
	return l, nil
}

// serve runs an HTTP server as a part: when told to stop it closes the listener, ends requests that only follow something, and
// waits for the others.
func serve(s *http.Server, l net.Listener, drain time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		s.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
		done := make(chan error, 1)
		go func() { done <- accept(s, l) }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		if s.Shutdown(late) != nil {
			s.Close() // whoever is still there has had the drain time
		}
		<-done
		return nil
	}
}
