package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/match"
)

// verdict is the answer of pattern test in JSON.
type verdict struct {
	Match  bool   `json:"match"`
	Path   string `json:"path,omitempty"` // of the first predicate that failed
	Reason string `json:"reason,omitempty"`
}

func patternCommand(env *environment) *cobra.Command {
	c := &cobra.Command{Use: "pattern", Short: "Work with event patterns", Args: cobra.NoArgs}
	var out output
	var pattern, object string
	test := &cobra.Command{
		Use:   "test --pattern JSON|@FILE --event JSON|@FILE",
		Short: "Say whether an event matches a pattern",
		Long: `Say whether an event matches a pattern. Needs no node. The event is any JSON object; a CloudEvent is given in its structured
form, with its attributes at the top and its payload below "data".

Exit codes: 0 match, 1 no match (the first predicate that failed is named), 2 a bad pattern or event.`,
		Example: `  dalamb pattern test --pattern '{"data":{"total":[{"numeric":[">",100]}]}}' --event '{"data":{"total":120}}'`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			text, err := argument(c, pattern)
			if err != nil {
				return fmt.Errorf("read --pattern: %w", err)
			}
			p, err := match.Parse(text)
			if err != nil {
				return fault.New(fault.Invalid, "%w", err)
			}
			if text, err = argument(c, object); err != nil {
				return fmt.Errorf("read --event: %w", err)
			}
			path, reason, matched, err := p.Explain(text)
			if err != nil {
				return fault.New(fault.Invalid, "the event is wrong: %w", err)
			}
			err = out.print(c.OutOrStdout(), verdict{matched, path, reason}, func(w io.Writer) {
				if matched {
					fmt.Fprintln(w, "match")
				} else {
					fmt.Fprintf(w, "no match: %s: %s\n", path, reason)
				}
			})
			if err == nil && !matched {
				return exitCode(exitFailed)
			}
			return err
		},
	}
	test.Flags().StringVar(&pattern, "pattern", "", "the pattern, or @FILE, or - for standard input")
	test.Flags().StringVar(&object, "event", "", "the event, or @FILE, or - for standard input")
	out.flag(test)
	test.MarkFlagRequired("pattern")
	test.MarkFlagRequired("event")
	c.AddCommand(test, patternTry(env))
	return c
}
