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
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

// manifestName is the file that deploy looks for in a directory.
const manifestName = "dalamb.yaml"

func deployCommand(env *environment) *cobra.Command {
	var out output
	var d deployment
	var noWait, watching bool
	c := &cobra.Command{
		Use:   "deploy PATH",
		Short: "Make a version of each function in a manifest",
		Long: `Make a version of each function that PATH/dalamb.yaml (or the file PATH) declares, and point an alias at it. The code directory
is taken by content: the same content with the same settings makes no new version. Where the manifest says build:, the node makes the code from
the directory first; what it says meanwhile is shown, and dalamb build log shows it later.

The whole manifest is checked before anything is sent. Where scale.min keeps instances, deploy waits for the first one and warns when it
does not start.

With --watch it goes on: whenever a file of the manifest or of the code changes, it deploys again, without a roll-out unless --strategy says one,
and shows what the functions write.

Where the manifest says rollout:, or with --strategy, the traffic moves to the new version step by step, and back when that does not hold
its gates. deploy waits for the end and says each step; when the traffic went back, it has failed. The roll-out goes on without it too:
dalamb rollout show tells how far it is.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			d.path = args[0]
			if watching {
				return watchAndDeploy(c, env, d, &out)
			}
			s, err := d.read()
			if err != nil {
				return err
			}
			env.into(s.manifest)
			node, done, err := d.send(c.Context(), env, s, c.ErrOrStderr())
			if err != nil {
				printDeployed(c.ErrOrStderr(), done) // some may be
				return err
			}
			if err := out.print(c.OutOrStdout(), done, func(w io.Writer) { printDeployed(w, done) }); err != nil || noWait {
				return err
			}
			if err := awaitStarts(c.Context(), node, s.manifest, done, c.ErrOrStderr()); err != nil {
				return err
			}
			return awaitRollouts(c.Context(), node, done, c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&d.alias, "alias", function.LiveAlias, "the alias to point at the new versions")
	c.Flags().StringVar(&d.strategy, "strategy", "", "how the traffic moves to the new versions: "+strings.Join(strategyNames(), ", ")+" (default: as the manifest says)")
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the end of a roll-out, nor for the instances that scale.min keeps")
	c.Flags().BoolVar(&watching, "watch", false, "deploy again whenever a file changes, and show what the functions write; Ctrl-C ends")
	c.RegisterFlagCompletionFunc("strategy", cobra.FixedCompletions(strategyNames(), cobra.ShellCompDirectiveNoFileComp))
	out.flag(c)
	return c
}

// deployment is what a deploy is asked for.
type deployment struct{ path, alias, strategy string }

// read reads what is to be deployed.
func (d *deployment) read() (source, error) {
	m, file, err := readManifest(d.path)
	if err != nil {
		return source{}, err
	}
	return source{m, file}, setStrategy(m, d.strategy)
}

// source is a manifest, and the file that it was read from.
type source struct {
	manifest *function.Manifest
	file     string
}

// send makes the versions, and says to w what it does. The node is the one that it was done on.
func (d *deployment) send(ctx context.Context, env *environment, s source, w io.Writer) (*client.Client, []wire.Deployed, error) {
	m, file := s.manifest, s.file
	images, err := localImages(m, file, progressOn(w))
	defer images.close()
	if err != nil {
		return nil, nil, err
	}
	sources, err := sourcesOf(m, file)
	if err != nil {
		return nil, nil, err
	}
	bundles, err := pack(m, filepath.Dir(file))
	defer bundles.remove()
	if err != nil {
		return nil, nil, err
	}
	if err := checkPrograms(m, file, sources); err != nil {
		return nil, nil, err
	}
	node, err := env.client()
	if err != nil {
		return nil, nil, err
	}
	var requests []wire.DeployRequest // of all, before the first is deployed: what cannot be built or sent stops them all
	for _, f := range m.Functions {
		b := bundles[f.CodePath]
		req := wire.DeployRequest{Spec: f.Spec, Code: b.digest, Alias: d.alias}
		if err := images.ask(ctx, node, req); err != nil {
			return node, nil, fmt.Errorf("deploy %s: %w", f.Spec.Name, err)
		}
		if err := b.upload(ctx, node); err != nil {
			return node, nil, fmt.Errorf("upload the code of %s: %w", f.Spec.Name, err)
		}
		if err := sources.build(ctx, node, &f, &req, w); err != nil {
			return node, nil, fmt.Errorf("build %s: %w", f.Spec.Name, err)
		}
		if err := images.push(ctx, node, &req.Spec); err != nil {
			return node, nil, fmt.Errorf("upload the image of %s: %w", f.Spec.Name, err)
		}
		requests = append(requests, req)
	}
	var done []wire.Deployed
	for _, req := range requests {
		name := req.Spec.Name
		if ref := req.Spec.ImageRef(); ref != "" {
			fmt.Fprintf(w, "%s: looking for image %s\n", name, ref)
		}
		var made wire.Deployed
		err := images.shown.pulls(ctx, name, req.Spec.ImageRef(), node.ImagePulls, func() (err error) {
			made, err = node.Deploy(ctx, req)
			return err
		})
		if err != nil {
			return node, done, fmt.Errorf("deploy %s: %w", name, err)
		}
		done = append(done, made)
	}
	return node, done, nil
}

// printDeployed writes a line for each function, and each warning once, however many functions it is about.
func printDeployed(w io.Writer, done []wire.Deployed) {
	about := map[string][]string{} // warning -> functions
	var warnings []string
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
	text, err := os.ReadFile(path)
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

// checkPrograms refuses a program below the code that could not be started: each run would fail.
func checkPrograms(m *function.Manifest, file string, built sources) error {
	var problems []function.Problem
	for _, d := range m.Functions {
		if built[d.Spec.Name] != nil {
			continue // the node looks at what it has built
		}
		if p := d.CheckProgram(file, os.Stat); p != nil {
			problems = append(problems, *p)
		}
	}
	if problems == nil {
		return nil
	}
	return fault.New(fault.Invalid, "%w", &function.ManifestError{Problems: problems})
}

// bundle is a code directory packed into a file.
type bundle struct {
	file   string
	digest string // "" = there is no code, and nothing to send
	sent   bool
}

// bundles are the packed code directories of a manifest, by their path in it.
type bundles map[string]*bundle

func (bs bundles) remove() {
	for _, b := range bs {
		if b.file != "" {
			os.Remove(b.file)
		}
	}
}

// pack packs each code directory of a manifest once.
func pack(m *function.Manifest, dir string) (bundles, error) {
	bs := bundles{}
	for _, d := range m.Functions {
		if bs[d.CodePath] != nil {
			continue
		}
		if d.CodePath == "" {
			bs[""] = &bundle{sent: true}
			continue
		}
		f, err := os.CreateTemp("", "dalamb-code-*")
		if err != nil {
			return bs, fault.New(fault.Unavailable, "pack the code of %s: %w", d.Spec.Name, err).
				WithHint("set TMPDIR to a directory that can be written to")
		}
		b := &bundle{file: f.Name()}
		bs[d.CodePath] = b
		code := filepath.Join(dir, d.CodePath)
		b.digest, err = image.Pack(code, f)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return bs, fmt.Errorf("pack %s, the code of %s: %w", code, d.Spec.Name, err)
		}
	}
	return bs, nil
}

// upload sends the code where the node does not hold it.
func (b *bundle) upload(ctx context.Context, node *client.Client) error {
	if b.sent {
		return nil
	}
	there, err := node.HasCode(ctx, b.digest)
	if err != nil {
		return err
	}
	if !there {
		f, err := os.Open(b.file)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := node.PutCode(ctx, b.digest, f); err != nil {
			return err
		}
	}
	b.sent = true
	return nil
}
