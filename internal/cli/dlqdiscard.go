package cli

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// discardMost is how many of those that are selected one call gives up: a node takes no more at once.
const discardMost = 1000

func dlqDiscard(env *environment) *cobra.Command {
	var out output
	var s selection
	var reason string
	var all, yes bool
	c := &cobra.Command{
		Use:   "discard [ID...] [--function F] [--trigger T] [--pattern P] [--error TEXT] [--since T] [--before T] [--all]",
		Short: "Give dead letters up",
		Long: `Give dead letters up: all of those named, or none when one of them is not there; or those that the flags select, or --all. Those that
are selected are counted, and it asks first. With a selection it goes through a thousand at a time: an interrupted one goes on when it is said again.
Of an ID the first characters are enough, four at least, where no other begins so.`,
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			if err := s.choose(c, args, all); err != nil {
				return err
			}
			s.query.Env = env.env
			node, err := env.client()
			if err != nil {
				return err
			}
			atOnce := len(args)
			if atOnce == 0 {
				atOnce = discardMost
				letters, err := s.find(c.Context(), node, math.MaxInt)
				if err != nil {
					return err
				}
				if len(letters) == 0 {
					return fault.New(fault.NotFound, "no dead letter is selected").WithHint("dalamb dlq ls with the same flags lists what is")
				}
				if !yes {
					if err := confirm(c, "discard "+count(int64(len(letters)), "dead letter")); err != nil {
						return err
					}
				}
				for _, l := range letters {
					args = append(args, l.Run.ID)
				}
			}
			var done wire.Discarded
			for ids := range slices.Chunk(args, atOnce) {
				n, err := node.Discard(c.Context(), wire.Discard{IDs: ids, Reason: reason})
				if err != nil {
					return err
				}
				done.Discarded += n
			}
			return out.print(c.OutOrStdout(), done, func(w io.Writer) { fmt.Fprintf(w, "discarded %d\n", done.Discarded) })
		},
	}
	s.flags(c)
	c.Flags().BoolVar(&all, "all", false, "all dead letters")
	c.Flags().StringVar(&reason, "reason", "", "why; it stays in the log")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask before those that are selected are discarded")
	out.flag(c)
	return c
}
