package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func buildCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "build",
		Short: "What was built, what builds said, and what was signed of them",
		Long:  `What was built. A function is built by a deploy, or by a git push, where its manifest says build:; see docs/builds.md.`,
	}
	c.AddCommand(buildListCommand(env), buildShowCommand(env), buildLogCommand(env), buildProvenanceCommand(env), buildKeyCommand(env))
	return c
}

func buildProvenanceCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "provenance FUNCTION[:VERSION]",
		Short: "Print what was signed of the build of a version",
		Long: `Print what the node that has built a version has signed of that, without :VERSION of the live one: an in-toto statement with a SLSA
provenance, in a DSSE envelope. It names the code by its digest, the source, the commit where it was pushed with git, the builder and its tools. docs/builds.md
says how to check it. pay@3 is pay:3.`,
		Example: "  dalamb build provenance pay > pay.intoto.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			name, version, err := versionArg(args[0])
			if err != nil {
				return err
			}
			signed, err := node.Provenance(c.Context(), name, version)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s\n", signed)
			return nil
		},
	}
}

func buildKeyCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print the public key that the node signs builds with, in PEM",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			key, err := node.BuildKey(c.Context())
			if err != nil {
				return err
			}
			_, err = io.WriteString(c.OutOrStdout(), key.Public)
			return err
		},
	}
}

// qualified takes FUNCTION@VERSION for FUNCTION:VERSION, which is how dalamb writes it.
func qualified(arg string) string { return strings.Replace(arg, "@", ":", 1) }

// versionArg reads FUNCTION or FUNCTION:VERSION; 0 = the live one.
func versionArg(arg string) (name string, version int, err error) {
	name, text, some := strings.Cut(qualified(arg), ":")
	if !some {
		return name, 0, nil
	}
	if version, err = strconv.Atoi(text); err != nil || version < 1 {
		return "", 0, fault.New(fault.Invalid, "%q is not the number of a version", fault.Clip(text)).WithHint("such as %s:3; dalamb versions %s lists them", name, name)
	}
	return name, version, nil
}

func buildLogCommand(env *environment) *cobra.Command {
	var id string
	c := &cobra.Command{
		Use:   "log FUNCTION[:VERSION]",
		Short: "Show what the build of a version said",
		Long: `Show what the build of a version said; without :VERSION that of the live one. Logs are on the node that has built, as long as the version is
there. A build that failed has made no version: its log is kept for a week, and its id is in the message of the deploy or the push. pay@3 is
pay:3.`,
		Example: "  dalamb build log pay\n  dalamb build log pay:3\n  dalamb build log --id 4t5q6bpbkzgg2otbkaygdlgvju",
		Args:    cobra.RangeArgs(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			which, err := theBuild(id, args)
			if err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			log, err := which.log(c.Context(), node)
			if err != nil {
				return err
			}
			defer log.Close()
			lines := bufio.NewScanner(log)
			for lines.Scan() {
				fmt.Fprintln(c.OutOrStdout(), plainLine(lines.Text()))
			}
			return lines.Err()
		},
	}
	c.Flags().StringVar(&id, "id", "", "of the build, instead of a function")
	return c
}

// whichBuild names a build, by its id or by a version that it made.
type whichBuild struct {
	id       string // "" = by the version
	function string
	version  int // 0 = the live one
}

// theBuild reads the argument of a command about one build, and its flag --id.
func theBuild(id string, args []string) (whichBuild, error) {
	if (id == "") == (len(args) == 0) {
		return whichBuild{}, fault.New(fault.Invalid, "one of FUNCTION and --id is wanted").WithHint("such as pay, pay:3, or --id ID; dalamb build ls has the ids")
	}
	if id != "" {
		return whichBuild{id: id}, nil
	}
	name, version, err := versionArg(args[0])
	return whichBuild{function: name, version: version}, err
}

func (b whichBuild) log(ctx context.Context, node *client.Client) (io.ReadCloser, error) {
	if b.id != "" {
		return node.BuildLog(ctx, b.id)
	}
	return node.VersionLog(ctx, b.function, b.version)
}

// plainLine keeps escape sequences of what a stranger wrote from a terminal.
func plainLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return '?'
		}
		return r
	}, s)
}

// builtNote says how a version's code was made.
func builtNote(b *function.Built) string {
	note := fmt.Sprintf("built with %s in %s, from %s", b.Builder, b.Took, short(b.Source, 19))
	for _, base := range b.Bases {
		note += ", on " + base.Reference
	}
	if b.Toolchain != "" {
		note += " (" + short(plainLine(b.Toolchain), 60) + ")"
	}
	return note
}

// sources are how the functions of a manifest are built, by their name; those that are not there are not built.
type sources map[string]*function.Build

func sourcesOf(s *source) (sources, error) {
	all := sources{}
	for i := range s.manifest.Functions {
		d := &s.manifest.Functions[i]
		how, err := d.Builds(s.file, s.statOf(d))
		if err != nil {
			return nil, err
		}
		if how != nil {
			all[d.Spec.Name] = how
		}
	}
	return all, nil
}

// build lets the node make the code of a function, where it is built, and puts it in the place of the source in req.
func (s sources) build(ctx context.Context, node *client.Client, d *function.Declared, req *wire.DeployRequest, show io.Writer) error {
	how := s[d.Spec.Name]
	if how == nil {
		return nil
	}
	made, err := node.BuildAll(ctx, wire.BuildOf(d.Spec.Name, d, req.Code, *how), func(line string) { fmt.Fprintf(show, "%s: %s\n", d.Spec.Name, plainLine(line)) })
	if err != nil {
		return err
	}
	req.Code, req.Build = made.Code, made.Built.ID
	if made.Image != "" {
		req.Spec.Image = made.Image
	}
	return nil
}
