package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
)

func invokeCommand(env *environment) *cobra.Command {
	var data, alias string
	c := &cobra.Command{
		Use:   "invoke NAME [--data JSON|@FILE|-]",
		Short: "Call a function and print its result",
		Long: `Call a function and print its result. A function that answers with an error ends the command with exit code 1 and the error on
standard error.

` + exitHelp,
		Example: `  dalamb invoke hello --data '{"name":"world"}'`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			payload, err := argument(c, data)
			if err != nil {
				return fmt.Errorf("read --data: %w", err)
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			answer, err := node.Invoke(c.Context(), client.Invocation{Function: args[0], Qualifier: alias, Payload: payload})
			if err != nil {
				return err
			}
			if answer.Error != "" {
				fmt.Fprintf(c.ErrOrStderr(), "%s failed: %s\n", args[0], answer.Payload)
				return exitCode(exitFailed)
			}
			_, err = c.OutOrStdout().Write(append(answer.Payload, '\n'))
			return err
		},
	}
	c.Flags().StringVarP(&data, "data", "d", "{}", "the payload: JSON, or @FILE, or - for standard input")
	c.Flags().StringVar(&alias, "alias", "", "alias or version to call (default live)")
	return c
}
