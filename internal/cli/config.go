package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func configCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "Set, list and remove configuration values that functions take; check a node's own", Args: cobra.NoArgs,
		Long: `Set, list and remove configuration values: text that functions take by name, as a variable, and that anybody with the token can read.

  config:
    - {name: log-level, env: LOG_LEVEL}

Setting one anew replaces the instances that have it. The node's own settings are another thing: dalamb up --help lists them, dalamb config check looks
for mistakes in them.`,
	}
	c.AddCommand(configSet(env), configList(env), removeValue(env, "config"), configCheck(env))
	return c
}

func configSet(env *environment) *cobra.Command {
	var out output
	var noWait bool
	c := &cobra.Command{
		Use: "set NAME=VALUE...", Short: "Give configuration values their values", Args: cobra.MinimumNArgs(1),
		Long: `Give configuration values their values. Where functions take them, their instances are replaced: the command waits for it, and warns of a
function that does not start with the new value and goes on with the older one.`,
		RunE: func(c *cobra.Command, args []string) error {
			for _, arg := range args {
				if name, _, ok := strings.Cut(arg, "="); !ok || name == "" {
					return usageError{c.CommandPath(), fmt.Errorf("%q is not NAME=VALUE", arg)}
				}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			var done []wire.ConfigSet
			var told []setValue
			var changed []string
			for _, arg := range args {
				name, value, _ := strings.Cut(arg, "=")
				made, err := node.SetConfig(c.Context(), name, value)
				if err != nil {
					return err
				}
				running, err := withInstances(c.Context(), node, made.Functions)
				if err != nil {
					return err
				}
				done = append(done, made)
				told = append(told, setValue{name: made.Name, revision: made.Revision, unchanged: made.Unchanged, functions: made.Functions, running: running})
				if !made.Unchanged {
					changed = append(changed, made.Functions...)
				}
			}
			err = out.print(c.OutOrStdout(), done, func(w io.Writer) {
				for _, s := range told {
					tellSet(w, s)
				}
			})
			if err != nil || noWait {
				return err
			}
			slices.Sort(changed)
			wait := renewals(node, c.ErrOrStderr())
			return wait.await(c.Context(), slices.Compact(changed))
		},
	}
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until instances are replaced")
	out.flag(c)
	return c
}

func configList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List configuration values", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Config(c.Context())
			if err != nil {
				return err
			}
			list = ofEnvironment(env, list, func(v *wire.ConfigValue) string { return v.Name })
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				var rows []row
				now := time.Now()
				for _, v := range list {
					rows = append(rows, cells(v.Name, v.Value, strconv.Itoa(v.Revision), age(v.Changed, now), takers(v.Functions)))
				}
				table(w, []string{"NAME", "VALUE", "REVISION", "AGE", "FUNCTIONS"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}
