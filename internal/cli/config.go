package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func configCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "Set, list and remove configuration values that functions take", Args: cobra.NoArgs,
		Long: `Set, list and remove configuration values: text that functions take by name, as a variable, and that anybody with the token can read.

  config:
    - {name: log-level, env: LOG_LEVEL}

Setting one anew replaces the instances that have it. The node's own settings are another thing: dalamb up --help.`,
	}
	c.AddCommand(configSet(env), configList(env), removeValue(env, "config"))
	return c
}

func configSet(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "set NAME=VALUE...", Short: "Give configuration values their values", Args: cobra.MinimumNArgs(1),
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
			for _, arg := range args {
				name, value, _ := strings.Cut(arg, "=")
				made, err := node.SetConfig(c.Context(), name, value)
				if err != nil {
					return err
				}
				done = append(done, made)
			}
			return out.print(c.OutOrStdout(), done, func(w io.Writer) {
				for _, d := range done {
					tellSet(w, setValue{d.Name, d.Revision, d.Unchanged, d.Functions})
				}
			})
		},
	}
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
