package cli

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/telemetry"
)

func upCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a node",
		Long: `Start a node and stay until SIGTERM or Ctrl-C; then take no more, finish what runs (up to --drain), and leave. A second one ends
it at once, as kill -9 does; neither loses anything that was acknowledged.

The first start makes the data directory and a token in it (file "token", readable by its owner alone). Without --config the
defaults hold. Every setting has an environment variable too, such as DALAMB_DATA or DALAMB_LIMITS_EVENT, which is stronger than the file; a flag is
stronger than both. dalamb config check looks for mistakes ahead. With SIGHUP the file is read again; docs/reference/configuration.md says what of it a
running node takes.

Events are kept in the data directory, or on Apache Kafka: --log kafka://host:9092,host:9092[?options]. Several nodes on one Kafka
share the work; each has a data directory of its own. docs/kafka.md has the options for TLS and passwords.

A listener that other machines reach speaks TLS: --tls-cert and --tls-key (dalamb tls init makes both), or --acme-domain; or plain HTTP
where --insecure says so. docs/tls.md.

With --bundle the node makes an incident happen again that dalamb export --trace has written: on a fresh data directory, which goes with it unless --data names one, it deploys the
versions that ran, sends the events with which the trace began, and says what came out differently. It stays up to be looked at until Ctrl-C; with --exit it ends at once, by
0 where everything came out as it was recorded, by 1 where not. The functions of the bundle run here, with all that they do: docs/incidents.md.`,
		Args: cobra.NoArgs,
	}
	settings := nodeSettings(c, env)
	again := reenactment{env: env}
	again.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		found, err := settings()
		if err != nil {
			return err
		}
		if asked, err := again.asked(c); asked || err != nil {
			if err != nil {
				return err
			}
			return again.run(c, found)
		}
		return serveNode(c.Context(), c, env, found, settings, nil)
	}
	return c
}

// serveNode opens a node and serves until ctx is done. settings reads the configuration again; ready is called when it serves, nil = nobody needs to know.
// What there is to say of the node goes to standard output.
func serveNode(ctx context.Context, c *cobra.Command, env *environment, found *config.Finding, settings func() (*config.Finding, error), ready func(*app.Node)) error {
	node, level := found.Node, &slog.LevelVar{}
	logger, err := telemetry.Logger(telemetry.LogOptions{Writer: c.ErrOrStderr(), Format: node.Log.Format, Level: node.Log.Level, Lever: level})
	if err != nil {
		return err
	}
	// net/http's clients know no other logger: what they say of a function that breaks the rules of HTTP/2 is the function's noise.
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(logger.Handler(), slog.LevelDebug).Writer())
	for _, w := range found.Warnings {
		logger.Warn("the configuration may not be as it is meant", "where", w.Where, "setting", w.Key, "note", w.What, "hint", w.Hint)
	}
	o := app.Options{Config: node, Version: buildInfo().Version, Logger: logger, Level: level, Stdout: c.OutOrStdout(), Environment: env.get}
	addresses := func(n *app.Node) {
		info := n.Info()
		fmt.Fprintf(c.OutOrStdout(), "gateway  %s\ncontrol  %s\ndata     %s\nlog      %s\n", info.Gateway, info.Control, node.Data, node.EventLog.Place())
	}
	manager := &supervisor{logger: logger}
	o.Waiting = func(n *app.Node, err error) {
		manager.waiting(err)
		addresses(n)
		fmt.Fprintf(c.OutOrStdout(), "waiting  %v\n", err)
		if hint := fault.HintOf(err); hint != "" {
			fmt.Fprintf(c.OutOrStdout(), "hint: %s\n", hint)
		}
	}
	o.Ready = func(n *app.Node) {
		addresses(n)
		if to := n.Info().Redirect; to != "" {
			fmt.Fprintf(c.OutOrStdout(), "redirect %s\n", to)
		}
		if at := n.Info().DNS; at != "" {
			fmt.Fprintf(c.OutOrStdout(), "dns      %s\n", at)
		}
		for _, l := range n.Exposed() {
			fmt.Fprintf(c.OutOrStdout(), "insecure %s: plain HTTP to other machines, who is between can read tokens and data\n", l)
		}
		fmt.Fprintf(c.OutOrStdout(), "runner   %s\nready\n", n.Fence())
		manager.ready()
		if ready != nil {
			ready(n)
		}
	}
	hangups := hearHangups() // before the node is made, which one that comes early would end
	n, err := app.New(ctx, o)
	if err != nil {
		return err
	}
	until, end := hangups.follow(ctx, n, settings, manager)
	defer end()
	defer context.AfterFunc(until, func() { manager.stopping(node.Drain.Std()) })()
	watching, done := context.WithCancel(context.WithoutCancel(until)) // also while it drains
	defer done()
	go manager.watch(watching, n) // ends with this command, within its patience
	return n.Run(until)
}

// nodeSource gives a command the flags that say how a node is, and returns what tells where its configuration is read from.
func nodeSource(c *cobra.Command, env *environment) func() config.Source {
	var file string
	c.Flags().StringVar(&file, "config", "", "configuration file (YAML); see docs/reference/configuration.md")
	defaults := config.Default()
	keys := map[string]string{} // flag -> setting
	for _, s := range config.Settings() {
		if s.Flag == "" {
			continue
		}
		keys[s.Flag] = s.Key
		usage := s.Help
		if s.Form != "" {
			usage = fmt.Sprintf("`%s`: %s", s.Form, s.Help)
		}
		c.Flags().String(s.Flag, s.Text(defaults), usage)
		if s.Switch() {
			c.Flags().Lookup(s.Flag).NoOptDefVal = "true"
		}
	}
	return func() config.Source {
		set := map[string]string{}
		c.Flags().Visit(func(f *pflag.Flag) {
			if key, ok := keys[f.Name]; ok {
				set[key] = f.Value.String()
			}
		})
		return config.Source{File: file, Environment: env.get, Names: env.names(), Set: set}
	}
}

// nodeSettings is nodeSource of a command that starts a node: what it returns reads a configuration that a node can start with.
func nodeSettings(c *cobra.Command, env *environment) func() (*config.Finding, error) {
	source := nodeSource(c, env)
	return func() (*config.Finding, error) {
		found, err := config.Check(source())
		if err != nil {
			return nil, err
		}
		app.Fit(found, env.get)
		return found, found.Err()
	}
}
