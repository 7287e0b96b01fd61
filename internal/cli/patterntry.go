package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/match"
	"github.com/dalamb/dalamb/internal/wire"
)

func patternTry(env *environment) *cobra.Command {
	var out output
	var req wire.PatternTry
	var filter, trigger string
	c := &cobra.Command{
		Use:   "try --filter PATTERN|@FILE [--topic T] [--from TIME] [--to TIME] [--trigger FUNCTION/TRIGGER]",
		Short: "Say which events of the log a pattern would have matched",
		Long: `Say how many events of a stretch of a topic a pattern would have matched, and show the first twenty. With --trigger also the
difference to that trigger's rule: what only the new pattern matches, what only the old one does, and what both do. Nothing is run.`,
		Example: `  dalamb pattern try --filter '{"type":["order.validated"],"data":{"total":[{"numeric":[">",100]}]}}' --from 24h --trigger pay/on-validated`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			text, err := argument(c, filter)
			if err != nil {
				return fmt.Errorf("read --filter: %w", err)
			}
			if _, err := match.Parse(text); err != nil {
				return fault.New(fault.Invalid, "%w", err)
			}
			req.Pattern = json.RawMessage(text)
			if trigger != "" {
				if req.Function, req.Trigger, err = triggerName(c, trigger); err != nil {
					return err
				}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			tried, err := node.TryPattern(c.Context(), req)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), tried, func(w io.Writer) { printTried(w, &tried, trigger) })
		},
	}
	f := c.Flags()
	f.StringVar(&filter, "filter", "", "the pattern: JSON, or @FILE, or -")
	f.StringVar(&req.Topic, "topic", "", "the topic (default: that of --trigger, else events)")
	f.StringVar(&req.From, "from", "", "earliest, a time, or how long ago (24h) (default earliest)")
	f.StringVar(&req.To, "to", "", "latest, a time, or how long ago (default latest)")
	f.StringVar(&trigger, "trigger", "", "compare with the rule of this trigger: FUNCTION/TRIGGER")
	c.MarkFlagRequired("filter")
	out.flag(c)
	return c
}

func printTried(w io.Writer, t *wire.PatternTried, trigger string) {
	fmt.Fprintf(w, "%d of %s of %s match\n", t.Matched, count(t.Looked, "event"), t.Topic)
	printSample(w, t.Sample, t.Matched)
	if t.Compared == nil {
		return
	}
	fmt.Fprintf(w, "\nagainst %s: %d matched by both, %d by the new pattern only, %d by the old one only\n",
		trigger, t.Compared.Both, t.Compared.OnlyNew, t.Compared.OnlyOld)
	for _, s := range []struct {
		what   string
		events []wire.EventAt
		all    int64
	}{{"only new", t.Compared.OnlyNewSample, t.Compared.OnlyNew}, {"only old", t.Compared.OnlyOldSample, t.Compared.OnlyOld}} {
		if s.all > 0 {
			fmt.Fprintf(w, "%s:\n", s.what)
			printSample(w, s.events, s.all)
		}
	}
}

func printSample(w io.Writer, events []wire.EventAt, all int64) {
	lines := newEventLines(w)
	for _, e := range events {
		fmt.Fprint(w, "  ")
		if lines.print(e) != nil {
			fmt.Fprintln(w)
		}
	}
	if more := all - int64(len(events)); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}
