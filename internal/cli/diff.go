package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func diffCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "diff FUNCTION VERSION|ALIAS VERSION|ALIAS",
		Short: "Show where two versions of a function differ",
		Long: `Show where two versions of a function differ: settings field by field, environment, triggers, and which files of the code were added,
removed or changed. The value of a variable that looks like a secret, by its name or by a password in a URL, is not shown.`,
		Example: "  dalamb diff pay 3 4\n  dalamb diff pay live 4 -o json",
		Args:    cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			var ns [2]int
			for i, text := range args[1:] {
				if ns[i], err = versionNamed(c.Context(), node, args[0], text); err != nil {
					return err
				}
			}
			d, err := node.Diff(c.Context(), args[0], ns[0], ns[1])
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), d, func(w io.Writer) { printDiff(w, &d) })
		},
	}
	out.flag(c)
	return c
}

// versionNamed is the version that a number or an alias names.
func versionNamed(ctx context.Context, node *client.Client, fn, text string) (int, error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n, nil
	}
	if function.CheckAlias(text) != nil {
		return 0, fault.New(fault.Invalid, "%q is no version: neither a number from 1 nor an alias", fault.Clip(text)).WithHint("dalamb versions %s lists them", fn)
	}
	list, err := node.Aliases(ctx, fn)
	if err != nil {
		return 0, err
	}
	var known []string
	for _, a := range list.Aliases {
		if a.Name == text {
			return a.Primary, nil
		}
		known = append(known, a.Name)
	}
	return 0, fault.New(fault.NotFound, "function %q has no alias %q", fn, text).WithHint("it has %s", strings.Join(known, ", "))
}

func printDiff(w io.Writer, d *wire.VersionDiff) {
	if len(d.Settings)+len(d.Env)+len(d.Triggers)+len(d.Files) == 0 && d.FilesError == "" {
		fmt.Fprintf(w, "versions %d and %d of %s do not differ\n", d.From, d.To, d.Function)
		return
	}
	fmt.Fprintf(w, "%s: version %d -> version %d\n", d.Function, d.From, d.To)
	if len(d.Settings) > 0 {
		fmt.Fprintln(w, "settings")
		printChanges(w, "  ", d.Settings)
	}
	if len(d.Env) > 0 {
		fmt.Fprintln(w, "environment")
	}
	for _, e := range d.Env {
		printLineOf(w, "  ", e.Name, quoted(e.Before), quoted(e.After))
	}
	if len(d.Triggers) > 0 {
		fmt.Fprintln(w, "triggers")
	}
	for _, t := range d.Triggers {
		fmt.Fprintf(w, "  %s %s\n", marks(t.State), clean(t.Name))
		printChanges(w, "      ", t.Changes)
	}
	if len(d.Files) > 0 {
		fmt.Fprintln(w, "files")
	}
	for _, f := range d.Files {
		fmt.Fprintf(w, "  %s %s  %s\n", marks(f.State), clean(f.Path), sizes(&f))
	}
	if d.MoreFiles > 0 {
		fmt.Fprintf(w, "  and %s\n", count(int64(d.MoreFiles), "file")+" more")
	}
	if d.FilesError != "" {
		fmt.Fprintf(w, "the files cannot be compared: %s\n", clean(d.FilesError))
	}
}

func printChanges(w io.Writer, indent string, changes []function.ReplayChange) {
	for _, c := range changes {
		printLineOf(w, indent, c.Path, inline(c.Before), inline(c.After))
	}
}

// printLineOf writes a place that changed; "" = it was not there.
func printLineOf(w io.Writer, indent, place, before, after string) {
	switch {
	case before == "":
		fmt.Fprintf(w, "%s+ %s: %s\n", indent, clean(place), after)
	case after == "":
		fmt.Fprintf(w, "%s- %s: %s\n", indent, clean(place), before)
	default:
		fmt.Fprintf(w, "%s~ %s: %s -> %s\n", indent, clean(place), before, after)
	}
}

func inline(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	return clean(jsonLine(raw))
}

func quoted(s *string) string {
	if s == nil {
		return ""
	}
	return strconv.Quote(*s)
}

func marks(state string) string {
	switch state {
	case "added":
		return "+"
	case "removed":
		return "-"
	}
	return "~"
}

// sizes says what there was and is, in a few words.
func sizes(f *wire.FileDiff) string {
	words := func(s *wire.FileSide) string {
		if s.Link != "" {
			return "-> " + clean(s.Link)
		}
		return bytesText(s.Bytes)
	}
	switch {
	case f.Before == nil:
		return words(f.After)
	case f.After == nil:
		return words(f.Before)
	case f.Before.Mode != f.After.Mode:
		return fmt.Sprintf("%s %s, now %s %s", f.Before.Mode, words(f.Before), f.After.Mode, words(f.After))
	case f.Before.Bytes == f.After.Bytes && f.Before.Link == f.After.Link:
		return words(f.After)
	}
	return words(f.Before) + ", now " + words(f.After)
}
