package app

import (
	"net"
	"net/http"

	"github.com/dalamb/dalamb/internal/alert"
	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/await"
	"github.com/dalamb/dalamb/internal/aws"
	"github.com/dalamb/dalamb/internal/body"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/console"
	"github.com/dalamb/dalamb/internal/copier"
	"github.com/dalamb/dalamb/internal/deliver"
	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/dispatch"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/gateway"
	"github.com/dalamb/dalamb/internal/idempotency"
	"github.com/dalamb/dalamb/internal/purge"
	"github.com/dalamb/dalamb/internal/quota"
	"github.com/dalamb/dalamb/internal/replay"
	"github.com/dalamb/dalamb/internal/shadow"
	"github.com/dalamb/dalamb/internal/source/cron"
	"github.com/dalamb/dalamb/internal/source/delay"
	"github.com/dalamb/dalamb/internal/telemetry"
	"github.com/dalamb/dalamb/internal/usage"
)

func (n *Node) wire(token string) error {
	c := n.config
	n.sink = newLogSink(n.log, n.logger, n.metrics)
	err := n.openOTLP()
	if err != nil {
		return err
	}
	allowed := func(env string) function.Quota { return n.catalog.View().Quota(env) }
	if n.quotas, err = quota.New(quota.Options{Of: allowed, Metrics: n.metrics}); err != nil {
		return err
	}
	n.fleet, err = fleet.New(fleet.Options{
		Quota:  allowed,
		Runner: n.runner, Functions: functions{n.catalog}, Code: n.share.Dir, Image: n.images.Root, Values: values{n.catalog, n.secrets}, Log: n.sink.write, Replaced: n.sink.replaced,
		Calls:  func(c fleet.Caller, l net.Listener) { n.gateway.ServeCalls(c, l) },
		Logger: n.logger, Metrics: n.metrics, Tracer: n.tracer, MaxAnswer: int64(c.Limits.Response), MaxInstances: c.Limits.Instances,
	})
	if err != nil {
		return err
	}
	if err := n.openHealth(); err != nil {
		return err
	}
	if err := n.openNodes(); err != nil {
		return err
	}
	if err := n.openAudit(); err != nil {
		return err
	}
	calls, timed := watched{n.fleet, n.health}, n.health.Log(n.log)
	if n.services, err = discovery.New(discovery.Options{Log: n.log, Logger: n.logger}); err != nil {
		return err
	}
	if err := n.openUpstreams(); err != nil {
		return err
	}
	ticks, err := cron.New(cron.Options{Log: n.log, Catalog: n.catalog, Logger: n.logger})
	if err != nil {
		return err
	}
	waiting, err := delay.New(delay.Options{Log: n.log, Logger: n.logger})
	if err != nil {
		return err
	}
	copying, err := copier.New(copier.Options{Log: n.log, Catalog: n.catalog, Logs: others{n}, Logger: n.logger})
	if err != nil {
		return err
	}
	n.shadow, err = shadow.New(shadow.Options{Log: n.log, Fleet: n.fleet, Targets: shadows{n.catalog}.now, Logger: n.logger, Metrics: n.metrics})
	if err != nil {
		return err
	}
	if err := n.openIncoming(); err != nil {
		return err
	}
	if n.awaits, err = await.New(await.Options{Log: n.log, Logger: n.logger}); err != nil {
		return err
	}
	n.opened = &opened{catalog: n.catalog, secrets: n.secrets}
	if n.keys, err = idempotency.New(idempotency.Options{Log: n.log, Logger: n.logger, Metrics: n.metrics}); err != nil {
		return err
	}
	if n.bodies, err = body.New(body.Options{Log: n.log, Most: int64(c.Limits.Request), Room: int64(c.Limits.Bodies), Logger: n.logger, Metrics: n.metrics}); err != nil {
		return err
	}
	n.gateway, err = gateway.New(gateway.Options{
		Log: timed, Catalog: n.catalog, Fleet: calls, Shadow: n.shadow, Secret: n.opened.open, Delay: waiting, Token: token, Redact: c.Redact, Hooks: n.hooks(), Clients: n.tls.Believes(), Proxies: trusted(c), Health: n.checks, Grade: n.health.Node, Logger: n.logger, Metrics: n.metrics,
		Keys:      n.keys,
		Tracer:    n.tracer,
		Quotas:    n.quotas,
		Bodies:    n.bodies,
		Runs:      n.history,
		Awaits:    n.awaits,
		Limits:    gateway.Limits{Event: int64(c.Limits.Event), Batch: int64(c.Limits.Batch), Request: int64(c.Limits.Request), Upload: int64(c.Limits.Upload), Held: int64(c.Limits.Held), Cache: int64(c.Limits.Cache)},
		Code:      n.share.Dir,
		Upstreams: n.upstreamsOf,
	})
	if err != nil {
		return err
	}
	n.purges, err = purge.New(purge.Options{Log: n.log, Catalog: n.catalog, Caches: n.gateway, Logger: n.logger})
	if err != nil {
		return err
	}
	if err := n.openCallbacks(); err != nil {
		return err
	}
	n.rollouts, err = deliver.New(deliver.Options{Log: n.log, Catalog: n.catalog, Fleet: n.fleet, Caller: checker{caller{n.gateway.Caller()}}, Logger: n.logger})
	if err != nil {
		return err
	}
	if n.alerts, err = alert.New(alert.Options{Log: n.log, Catalog: n.catalog, Lag: n.lags, Logger: n.logger}); err != nil {
		return err
	}
	counting, err := usage.New(usage.Options{Log: n.log, Catalog: n.catalog, Logger: n.logger})
	if err != nil {
		return err
	}
	duties := []dispatch.Duty{ticks, waiting, copying, n.rollouts, n.incoming, n.services, n.callback, n.alerts, counting}
	if err := n.openShip(); err != nil {
		return err
	}
	if n.ship != nil {
		duties = append(duties, n.ship)
	}
	n.dispatcher, err = dispatch.New(dispatch.Options{
		Log: timed, Catalog: n.catalog, Invoker: calls, Shadow: n.shadow, Duties: duties, Group: "dalamb", Logger: n.logger, Metrics: n.metrics,
		Bodies:     n.bodies,
		Quotas:     n.quotas,
		Forgotten:  n.seals.Forgotten,
		Cancels:    n.history,
		Tracer:     n.tracer,
		EventLimit: int(c.Limits.Event), Drain: c.Drain.Std(),
	})
	if err != nil {
		return err
	}
	n.replays, err = replay.New(replay.Options{Log: n.log, Catalog: n.catalog, History: n.history, Owns: n.dispatcher.Owns, Logger: n.logger})
	if err != nil {
		return err
	}
	n.api, err = api.New(api.Options{
		Log: n.log, Catalog: n.catalog, History: n.history, Dispatcher: dispatcher{n.dispatcher}, Replays: n.replays, Fleet: instances{n.fleet}, Health: n.health, Services: n.services, Code: n.share, Images: keptImages{n.images, n}, Follower: followed{n}, Repositories: repositories{n}, Builds: n.builds, Signed: c.Build.Require == config.RequireSigned,
		Hooks:    told{n.incoming, n.refusals},
		Aims:     aws.Aims,
		Machine:  n.machine,
		People:   n.people(),
		Rollouts: n.rollouts,
		Seals:    n.seals,
		Routes:   n.gateway.OpenAPI,
		Shipping: n.shipping,
		Alerts:   n.alerts,
		Usage:    counting,
		Quotas:   counted{n.quotas, n.fleet},
		Caller:   caller{n.gateway.Caller()}, Ticks: ticks, Delayed: delayed{waiting}, Copies: copies{copying}, Secrets: n.secrets, Still: n.checkpoint, Token: token, Node: n.describe, Runner: n.describeRunner, Logger: n.logger, MaxEvent: int(c.Limits.Event),
		Upstreams: n.upstreams.State,
		Others:    n.otherNodes,
		Audit:     n.audited(),
	})
	if err != nil {
		return err
	}
	if n.console, err = console.New(console.Options{API: n.api, Provider: n.provider(), Logger: n.logger}); err != nil {
		return err
	}
	if err := n.openAWS(token); err != nil {
		return err
	}
	if err := n.openGit(); err != nil {
		return err
	}
	if err := n.openFollow(); err != nil {
		return err
	}
	n.gatewayServer = gateway.Public(n.gateway, n.logger)
	n.controlServer = gateway.Server(prompt(n.control(), takePatience), n.logger)
	n.encrypt(n.gatewayServer, n.controlServer)
	n.controlServer.RegisterOnShutdown(n.api.EndStreams)
	n.gatewayServer.RegisterOnShutdown(n.gateway.EndTunnels)
	n.gatewayServer.RegisterOnShutdown(n.gateway.EndWaits)
	return nil
}

// control is all that the control listener serves: the API; the registry, the git server and AWS's API, which ask for the token in their own way; the console, where people sign in with it; the page that
// Prometheus reads, which names functions and so needs the token too; and whether the node works, which anybody may ask.
func (n *Node) control() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", n.api.Private(telemetry.Handler(n.metrics, n.logger)))
	mux.Handle("GET /_/health", n.gateway)
	mux.Handle("GET /_/health/", n.gateway)
	mux.Handle("/v2/", n.registry)
	mux.Handle("/git/", n.git)
	for _, path := range aws.Paths() {
		mux.Handle(path, n.aws)
	}
	mux.HandleFunc("POST /{$}", n.root)
	for _, path := range console.Paths() {
		mux.Handle(path, n.console)
	}
	mux.Handle("/", n.console.Elsewhere(n.api))
	return mux
}
