package cli

import (
	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
)

// atLeast refuses a flag whose number is below the least that makes sense.
func atLeast[T int | int32 | int64](c *cobra.Command, flag string, n, least T) error {
	if n >= least || !c.Flags().Changed(flag) {
		return nil
	}
	return usageError{c.CommandPath(), fault.New(fault.Invalid, "--%s: %d is not a number from %d", flag, n, least)}
}
