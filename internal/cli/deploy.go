package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// manifestName is the file that deploy looks for in a directory.
const manifestName = "dalamb.yaml"

func deployCommand(env *environment) *cobra.Command {
	var out output
	var d deployment
	var noWait, watching bool
	c := &cobra.Command{
		Use:   "deploy PATH...",
		Short: "Make a version of each function in manifests, or of a zip archive",
		Long: `Make a version of each function that PATH/dalamb.yaml (or the file PATH) declares, and point an alias at it. The code directory
is taken by content: the same content with the same settings makes no new version. Where the manifest says build:, the node makes the code from
the directory first; what it says meanwhile is shown, and dalamb build log shows it later.

All manifests are checked before anything is sent, and all functions of all of them are released together: each has its new version, or none has.
Where scale.min keeps instances, deploy waits for the first one and warns when it does not start.

With --zip the code is what a zip archive holds, as one for AWS Lambda. PATH then names the manifest; without it only the code of a function changes,
and its settings stay, or there is none yet, and the bootstrap in the archive is a lambda function. docs/lambda.md.

With --watch it goes on: whenever a file of the manifests or of the code changes, it deploys again, without a roll-out unless --strategy says one,
and shows what the functions write.

Where the manifest says rollout:, or with --strategy, the traffic moves to the new version step by step, and back when that does not hold
its gates. deploy waits for the end and says each step; when the traffic went back, it has failed. The roll-out goes on without it too:
dalamb rollout show tells how far it is.`,
		Example: `  dalamb deploy pay
  dalamb deploy pay mail web
  dalamb deploy --zip pay.zip`,
		Args: func(c *cobra.Command, args []string) error {
			if d.zip == "" {
				return cobra.MinimumNArgs(1)(c, args)
			}
			return cobra.MaximumNArgs(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			d.paths = args
			if err := d.check(watching); err != nil {
				return err
			}
			if watching {
				return watchAndDeploy(c, env, d, &out)
			}
			r, err := d.read(c.Context(), env, c.ErrOrStderr())
			defer r.remove()
			if err != nil {
				return err
			}
			node, done, err := d.send(c.Context(), env, r, c.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := out.print(c.OutOrStdout(), done, func(w io.Writer) { printDeployed(w, done) }); err != nil || noWait {
				return err
			}
			wait, names := firsts(node, c.ErrOrStderr(), landed{r.specs(), done})
			if err := wait.await(c.Context(), names); err != nil {
				return err
			}
			return awaitRollouts(c.Context(), node, done, c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&d.alias, "alias", function.LiveAlias, "the alias to point at the new versions")
	c.Flags().StringVar(&d.strategy, "strategy", "", "how the traffic moves to the new versions: "+strings.Join(strategyNames(), ", ")+" (default: as the manifest says)")
	c.Flags().StringVar(&d.zip, "zip", "", "a zip archive with the code, in the place of the manifest's code directory")
	c.Flags().StringVar(&d.name, "name", "", "with --zip and without PATH: the function (default: the archive's name)")
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the end of a roll-out, nor for the instances that scale.min keeps")
	c.Flags().BoolVar(&watching, "watch", false, "deploy again whenever a file changes, and show what the functions write; Ctrl-C ends")
	c.RegisterFlagCompletionFunc("strategy", cobra.FixedCompletions(strategyNames(), cobra.ShellCompDirectiveNoFileComp))
	out.flag(c)
	return c
}

// deployment is what a deploy is asked for.
type deployment struct {
	paths           []string // of manifests
	alias, strategy string
	zip, name       string // an archive with the code, and whose it is; "" = there is none
}

// check refuses flags that do not go together.
func (d *deployment) check(watching bool) error {
	switch {
	case d.zip != "" && watching:
		return fault.New(fault.Invalid, "--zip and --watch exclude each other").WithHint("unpack the archive, and watch the directory")
	case d.name != "" && d.zip == "":
		return fault.New(fault.Invalid, "--name is for --zip: a manifest names its functions")
	case d.name != "" && len(d.paths) > 0:
		return fault.New(fault.Invalid, "--name is %s, and the manifest names its function itself", d.name).WithHint("leave one of both out")
	}
	return nil
}

// read reads what is to be deployed, and says to w what it makes of it. What it returns has to be removed, also with an error.
func (d *deployment) read(ctx context.Context, env *environment, w io.Writer) (release, error) {
	if d.zip != "" {
		return d.readZip(ctx, env, w)
	}
	r, err := readManifests(d.paths)
	if err != nil {
		return nil, err
	}
	return r, r.prepare(env, d.strategy)
}

// send makes the versions, and says to w what it does. The node is the one that it was done on.
func (d *deployment) send(ctx context.Context, env *environment, r release, w io.Writer) (*client.Client, []wire.Deployed, error) {
	shown := progressOn(w)
	var all []*cargo
	for _, s := range r {
		one, err := s.load(shown)
		defer one.close()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, one)
	}
	node, err := env.client()
	if err != nil {
		return nil, nil, err
	}
	var requests []wire.DeployRequest // of all, before any is deployed: what cannot be built or sent stops them all
	for _, one := range all {
		more, err := one.send(ctx, node, d.alias, w)
		if err != nil {
			return node, nil, err
		}
		requests = append(requests, more...)
	}
	done, err := releaseTogether(ctx, node, requests, w)
	return node, done, err
}

// releaseTogether makes the versions of all functions, or none.
func releaseTogether(ctx context.Context, node *client.Client, requests []wire.DeployRequest, w io.Writer) (done []wire.Deployed, err error) {
	name := requests[0].Spec.Name
	do := func() (err error) {
		if len(requests) > 1 {
			done, err = node.Release(ctx, wire.ReleaseRequest{Functions: requests})
			return err // which names the function
		}
		one, err := node.Deploy(ctx, requests[0])
		if err != nil {
			return fmt.Errorf("deploy %s: %w", name, err)
		}
		done = []wire.Deployed{one}
		return nil
	}
	shown := progressOn(w)
	for _, req := range requests {
		name, ref, inner := req.Spec.Name, req.Spec.ImageRef(), do
		if ref != "" {
			fmt.Fprintf(w, "%s: looking for image %s\n", name, ref)
		}
		do = func() error { return shown.pulls(ctx, name, ref, node.ImagePulls, inner) }
	}
	return done, do()
}

// printDeployed writes a line for each function, and what to know of them.
func printDeployed(w io.Writer, done []wire.Deployed) {
	for _, d := range done {
		what := "deployed"
		switch {
		case d.Rollout != 0:
			what = "being rolled out"
		case !d.Created && d.Moved:
			what = fmt.Sprintf("nothing differs from this version; %s points at it now", d.Alias)
		case !d.Created:
			what = fmt.Sprintf("unchanged: nothing differs from this version, which %s points at", d.Alias)
		}
		fmt.Fprintf(w, "%-20s version %d (%s)  %s\n", d.Function, d.Version, d.Alias, what)
		if i := d.Image; i != nil {
			fmt.Fprintf(w, "    %s\n", imageLine(i))
		}
		for _, s := range d.Schedules {
			fmt.Fprintf(w, "    %s runs at %s: %s\n", s.Trigger, timesOf(s.Schedule, s.Timezone), nextOf(s))
		}
	}
	warnOfDeployed(w, done)
}

// warnOfDeployed writes each warning once, however many functions it is about.
func warnOfDeployed(w io.Writer, done []wire.Deployed) {
	about := map[string][]string{} // warning -> functions
	var warnings []string
	for _, d := range done {
		for _, warning := range d.Warnings {
			if about[warning] == nil {
				warnings = append(warnings, warning)
			}
			about[warning] = append(about[warning], d.Function)
		}
	}
	for _, warning := range warnings {
		fmt.Fprintf(w, "warning: %s (%s)\n", warning, strings.Join(about[warning], ", "))
	}
}

// readManifest reads the manifest at path, a file or a directory that holds one, and returns it with its file.
func readManifest(path string) (m *function.Manifest, file string, err error) {
	path = manifestFile(path)
	text, err := function.ReadManifest(path)
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "the manifest cannot be read: %w", err).
			WithHint("deploy takes a directory with a %s, or the file itself", manifestName)
	}
	m, err = function.ParseManifest(path, text)
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "%w", err)
	}
	return m, path, nil
}

// manifestFile is the manifest that a path names: the file itself, or that of a directory.
func manifestFile(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, manifestName)
	}
	return path
}
