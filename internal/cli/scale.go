package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func scaleCommand(env *environment) *cobra.Command {
	var out output
	var least, most int
	var req wire.ScaleRequest
	c := &cobra.Command{
		Use:   "scale FUNCTION [--min N] [--max N] [--dry-run]",
		Short: "Change how many instances of a function there are on a node",
		Long: `Change how many instances of a function each node keeps ready (--min) and has at most (--max). What is not named stays.

Versions do not change: this makes another one of the same code and settings, and brings it to live as a deploy does, with the function's
roll-out where it has one. dalamb rollback takes it back. The next deploy brings what its manifest says, so write it there, too
(scale.min, scale.max).`,
		Example: "  dalamb scale pay --min 2\n  dalamb scale pay --min 0 --max 20",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			if c.Flags().Changed("min") {
				req.Min = &least
			}
			if c.Flags().Changed("max") {
				req.Max = &most
			}
			if req.Min == nil && req.Max == nil {
				return usageError{c.CommandPath(), fault.New(fault.Invalid, "neither --min nor --max is given").WithHint("dalamb scale %s --min 2", args[0])}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			did, err := node.Scale(c.Context(), args[0], req)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), did, func(w io.Writer) {
				switch {
				case req.DryRun:
					fmt.Fprintf(w, "%s can be scaled so; nothing was changed\n", did.Function)
				case did.Rollout != 0:
					fmt.Fprintf(w, "%s version %d is rolled out; dalamb rollout show %s tells how far\n", did.Function, did.Version, did.Function)
				default:
					fmt.Fprintf(w, "%s version %d is live\n", did.Function, did.Version)
				}
				for _, warning := range did.Warnings {
					fmt.Fprintf(c.ErrOrStderr(), "warning: %s\n", warning)
				}
			})
		},
	}
	c.Flags().IntVar(&least, "min", 0, "instances that each node keeps ready")
	c.Flags().IntVar(&most, "max", 0, "instances that each node has at most")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "only say whether it would be refused")
	out.flag(c)
	return c
}
