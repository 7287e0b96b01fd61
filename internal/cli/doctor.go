package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/doctor"
	"github.com/dalamb/dalamb/internal/wire"
)

func doctorCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine gives a node, and how to get the rest",
		Long: `Say what this machine gives a node: kernel, namespaces, cgroups, disk, clock, ports, the log, and whether a sandbox can be made and what
of its fence is whole. Each is ok, warning (a node works, and does not do all that it could) or missing (a node does not start, or soon stops),
with the remedy. Nothing is changed, and a node may run.

It takes the flags of dalamb up, so that it looks at what that node would: dalamb doctor --log kafka://host:9092.

Exit codes: 0 everything that a node needs is there, 1 something is missing, 2 the input is wrong.`,
		Args: cobra.NoArgs,
	}
	source := nodeSource(c, env)
	out.flag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if _, err := out.json(); err != nil {
			return err
		}
		node, err := config.Load(source())
		if err != nil {
			return err
		}
		all, err := app.Doctor(c.Context(), app.Options{Config: node, Logger: slog.New(slog.DiscardHandler), Environment: env.get})
		if err != nil {
			return err
		}
		if f, runs := env.running(c.Context(), node.Data); runs {
			all = append(all, f)
			all = append(all, env.sinkSecrets(c.Context(), node)...)
		}
		err = out.print(c.OutOrStdout(), map[string]any{"healthy": doctor.Healthy(all), "findings": all}, func(w io.Writer) {
			var rows []row
			for _, f := range all {
				r := cells(string(f.State), f.Name, f.Detail)
				if f.Remedy != "" {
					r.notes = []string{"remedy: " + f.Remedy}
				}
				rows = append(rows, r)
			}
			table(w, []string{"STATE", "WHAT", "FOUND"}, rows)
		})
		if err == nil && !doctor.Healthy(all) {
			fmt.Fprintln(c.ErrOrStderr(), "dalamb: something that a node needs is missing")
			return exitCode(exitFailed)
		}
		return err
	}
	return c
}

// running says how the node of the data directory is, when there is one.
func (e *environment) running(ctx context.Context, data string) (f doctor.Finding, runs bool) {
	if _, err := os.Stat(filepath.Join(data, app.NodeFile)); err != nil {
		return f, false
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	const name = "running node"
	node, err := e.on(data).client()
	if err != nil {
		return doctor.Lacking(doctor.Warning, name, "as a user who may read the data directory, doctor asks it", "%v", err), true
	}
	n, err := node.Node(ctx)
	switch {
	case err != nil:
		return doctor.Lacking(doctor.Warning, name, "see its log lines; when it was killed, start it again", "%v", err), true
	case n.Space != "ok":
		return doctor.Lacking(doctor.Warning, name, "free disk space, or keep less: dalamb topic alter", "room for the log is %s", n.Space), true
	case len(n.Runner.Lacks) > 0:
		return doctor.Lacking(doctor.Warning, name, "see the findings on the fence, as the user that the node runs as", "its fence lacks %s", strings.Join(n.Runner.Lacks, ", ")), true
	}
	return doctor.Good(name, "version %s at %s, %s, %s", n.Version, n.Control, count(int64(n.Functions), "function"), count(int64(n.Instances), "instance")), true
}

// on is the environment with another data directory.
func (e *environment) on(data string) *environment {
	return &environment{ca: e.ca, get: func(name string) string {
		if name == "DALAMB_DATA" {
			return data
		}
		return e.get(name)
	}}
}

// sinkSecrets tells of sinks of log lines whose secret the running node has not. That the node does not answer is told already.
func (e *environment) sinkSecrets(ctx context.Context, c *config.Node) (all []doctor.Finding) {
	if !slices.ContainsFunc(c.Logs.Ship, func(s config.Sink) bool { return s.ValueSecret != "" }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	node, err := e.on(c.Data).client()
	if err != nil {
		return nil
	}
	known, err := node.Secrets(ctx)
	for _, s := range c.Logs.Ship {
		what := "log sink " + s.Name
		switch {
		case s.ValueSecret == "":
		case err != nil:
			all = append(all, doctor.Lacking(doctor.Warning, what, "ask as who may see the names of secrets", "whether its secret %s is there is not known: %v", s.ValueSecret, err))
		case !slices.ContainsFunc(known.Secrets, func(one wire.Secret) bool { return one.Name == s.ValueSecret }):
			all = append(all, doctor.Lacking(doctor.Warning, what, "dalamb secret set "+s.ValueSecret+"; until then lines wait in the log", "the secret %s is not there", s.ValueSecret))
		}
	}
	return all
}
