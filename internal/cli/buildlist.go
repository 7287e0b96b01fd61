package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func buildListCommand(env *environment) *cobra.Command {
	var out output
	var q client.BuildQuery
	c := &cobra.Command{
		Use:   "ls [FUNCTION]",
		Short: "List builds, the newest first: what came of each, and of which commit it was",
		Long: `List the builds of the last week, of all nodes, the newest first: those under way, those that succeeded, failed, were cancelled because nobody
wanted them any longer, and those that were lost with their node. Each is two events in _dalamb.builds, which functions may listen to
(docs/builds.md): dalamb events --topic _dalamb.builds.`,
		Example: "  dalamb build ls\n  dalamb build ls pay --outcome failed\n  dalamb build ls -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				q.Function = args[0]
			}
			return inquiry[wire.BuildList]{
				func(node *client.Client) (wire.BuildList, error) {
					list, err := node.Builds(c.Context(), q)
					list.Builds = ofEnvironment(env, list.Builds, madeFor)
					return list, err
				},
				func(w io.Writer, list *wire.BuildList) { printBuilds(w, c.ErrOrStderr(), list) },
			}.run(c, env, &out)
		},
	}
	c.Flags().StringVar(&q.Outcome, "outcome", "", "only of this outcome: "+strings.Join(function.BuildOutcomes(), ", "))
	c.Flags().IntVar(&q.Limit, "limit", 0, "so many, at most 1000 (0: 20)")
	out.flag(c)
	return c
}

func printBuilds(w, note io.Writer, list *wire.BuildList) {
	if len(list.Builds) == 0 {
		fmt.Fprintln(note, "no such builds in the last week; a function whose manifest says build: is built by a deploy, or by a git push")
		return
	}
	var rows []row
	for i := range list.Builds {
		b := &list.Builds[i]
		r := cells(b.ID, short(strings.Join(b.Functions, ","), 32), b.Builder, b.Outcome, buildTook(b), age(b.Started, time.Now()), orDash(versionRefs(b)))
		if b.Error != "" {
			r.notes = append(r.notes, short(b.Error, 2*noteWidth))
		}
		if b.Origin != nil {
			r.notes = append(r.notes, "from "+b.Origin.String())
		}
		rows = append(rows, r)
	}
	table(w, []string{"BUILD", "FUNCTION", "BUILDER", "OUTCOME", "TOOK", "AGE", "VERSION"}, rows)
}

// buildTook is how long a build took, as far as anybody knows.
func buildTook(b *wire.Build) string {
	if b.Took == 0 {
		return "-"
	}
	return b.Took.String()
}

func versionRefs(b *wire.Build) string {
	var names []string
	for _, v := range b.Versions {
		names = append(names, fmt.Sprintf("%s:%d", v.Function, v.Version))
	}
	return strings.Join(names, ",")
}

func buildShowCommand(env *environment) *cobra.Command {
	var out output
	var id string
	c := &cobra.Command{
		Use:   "show FUNCTION[:VERSION]",
		Short: "Show a build: of which commit, by what, what came of it, and the versions that have that",
		Long: `Show the build of a version; without :VERSION that of the live one. With --id it is any build of the last week, one that has made no version
among them. What it said is shown by dalamb build log.`,
		Example: "  dalamb build show pay\n  dalamb build show pay:3\n  dalamb build show --id 4t5q6bpbkzgg2otbkaygdlgvju",
		Args:    cobra.RangeArgs(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			which, err := theBuild(id, args)
			if err != nil {
				return err
			}
			return inquiry[wire.Build]{
				func(node *client.Client) (wire.Build, error) {
					if which.id != "" {
						return node.OneBuild(c.Context(), which.id)
					}
					return node.VersionBuild(c.Context(), which.function, which.version)
				},
				printBuild,
			}.run(c, env, &out)
		},
	}
	c.Flags().StringVar(&id, "id", "", "of the build, instead of a function")
	out.flag(c)
	return c
}

func printBuild(w io.Writer, b *wire.Build) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-9s %s\n", name, clean(value))
		}
	}
	line("build", b.ID)
	line("function", strings.Join(b.Functions, ", "))
	line("outcome", b.Outcome)
	line("reason", b.Error)
	line("hint", b.Hint)
	line("began", stamp(b.Started))
	if b.Took != 0 {
		line("took", b.Took.String())
	}
	line("builder", b.Builder)
	line("tools", b.Toolchain)
	if b.Origin != nil {
		line("from", b.Origin.String())
		line("url", b.Origin.URL)
	}
	line("source", b.Source)
	line("code", b.Code)
	line("image", b.Image)
	line("versions", versionRefs(b))
}

// madeFor is a function that a build was for; all of them are of one environment.
func madeFor(b *wire.Build) string {
	if len(b.Functions) == 0 {
		return ""
	}
	return b.Functions[0]
}
