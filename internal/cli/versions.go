package cli

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func versionsCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "versions FUNCTION",
		Short: "List the versions of a function, and what points at each",
		Long: `List the versions of a function, the newest first: when and from what each was made, which aliases point at it with what share of their
invocations (an alias's primary is marked with *: triggers and routes are those of live's), and how large its files are.

A deploy lets old versions go: keep of the manifest says how many stay, 10 by default. Those stay too that an alias points at or
would go back to, that a replay runs, and whose runs are dead letters.`,
		Example: "  dalamb versions pay\n  dalamb versions pay -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Versions(c.Context(), args[0])
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) { printVersions(w, &list) })
		},
	}
	out.flag(c)
	return c
}

func printVersions(w io.Writer, list *wire.VersionList) {
	var rows []row
	for _, v := range list.Versions {
		var aliases []string
		for _, a := range v.Aliases {
			mark := a.Alias
			if a.Primary {
				mark += "*"
			}
			if !a.Primary || a.Percent < 100 {
				mark += fmt.Sprintf(" %d %%", a.Percent)
			}
			aliases = append(aliases, mark)
		}
		size := "-"
		if v.Bytes > 0 {
			size = bytesText(v.Bytes)
		}
		what := v.Code
		if v.Image != "" {
			what = v.Digest
		}
		r := cells(strconv.Itoa(v.Number), cmp.Or(strings.Join(aliases, ", "), "-"), short(what, 19), size, age(v.Created, time.Now()), stamp(v.Created))
		if v.Image != "" {
			r.notes = append(r.notes, "image "+v.Image)
		}
		if v.Origin != nil {
			r.notes = append(r.notes, "from "+v.Origin.String())
		}
		if v.By != nil {
			r.notes = append(r.notes, "deployed by "+v.By.String())
		}
		if v.Built != nil {
			r.notes = append(r.notes, builtNote(v.Built))
		}
		if v.Error != "" {
			r.notes = append(r.notes, "cannot be run on this node: "+v.Error)
		}
		rows = append(rows, r)
	}
	table(w, []string{"VERSION", "ALIASES", "CODE OR IMAGE", "SIZE", "AGE", "CREATED"}, rows)
}

// bytesText is a size for people.
func bytesText(n int64) string {
	const unit = 1024
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(unit*unit))
}
