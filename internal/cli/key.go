package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func keyCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "key", Short: "Pause and resume single keys of a trigger",
		Long: `Pause and resume single keys of a trigger. The events of a paused key wait, in order; those of all other keys run. The key of an
event is its partitionkey, else its subject.`,
		Args: cobra.NoArgs,
	}
	for _, verb := range []struct {
		name, short, long string
		call              func(*client.Client, context.Context, string, string, string) (wire.KeyList, error)
	}{
		{
			"pause", "Pause a key: its events wait, others run",
			"Pause a key of a trigger: no more of its events are run until it is resumed. One that runs is finished.", (*client.Client).PauseKey,
		},
		{"resume", "Let a paused key go on where it stopped", "Let a paused key of a trigger go on where it stopped.", (*client.Client).ResumeKey},
	} {
		c.AddCommand(&cobra.Command{
			Use: verb.name + " FUNCTION/TRIGGER KEY", Short: verb.short, Long: verb.long, Args: cobra.ExactArgs(2),
			RunE: func(c *cobra.Command, args []string) error {
				fn, trigger, node, err := env.trigger(c, args[0])
				if err != nil {
					return err
				}
				if _, err := verb.call(node, c.Context(), fn, trigger, args[1]); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%sd key %s of %s\n", verb.name, clean(fault.Clip(args[1])), args[0])
				return nil
			},
		})
	}
	c.AddCommand(keyList(env))
	return c
}

func keyList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls FUNCTION/TRIGGER", Short: "List the keys of a trigger that are paused", Long: "List the keys of a trigger that are paused.", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			fn, trigger, node, err := env.trigger(c, args[0])
			if err != nil {
				return err
			}
			keys, err := node.Keys(c.Context(), fn, trigger)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), keys, func(w io.Writer) {
				if len(keys.Paused) == 0 {
					fmt.Fprintf(c.ErrOrStderr(), "no key of %s is paused\n", args[0])
				}
				for _, key := range keys.Paused {
					fmt.Fprintln(w, clean(key))
				}
			})
		},
	}
	out.flag(c)
	return c
}

// trigger takes FUNCTION/TRIGGER apart and finds the node.
func (env *environment) trigger(c *cobra.Command, arg string) (fn, trigger string, node *client.Client, err error) {
	if fn, trigger, err = triggerName(c, arg); err != nil {
		return "", "", nil, err
	}
	node, err = env.client()
	return fn, trigger, node, err
}

// givenKey refuses an empty --key: a variable of the shell that is not set would otherwise ask for the events of all keys.
func givenKey(c *cobra.Command) error {
	if f := c.Flags().Lookup("key"); f.Changed && f.Value.String() == "" {
		return usageError{c.CommandPath(), fault.New(fault.Invalid, "--key is empty").WithHint("give a key, or leave --key out; a variable of the shell may not be set")}
	}
	return nil
}
