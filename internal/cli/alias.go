package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func aliasCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "alias",
		Short: "List and remove the aliases of a function",
		Long: `List and remove the aliases of a function. An alias is a name for a version, or for several of which each has a share: dalamb shift and
dalamb deploy --alias set it. Its own URL on the gateway is /_/fn/FUNCTION:ALIAS.`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(aliasListCommand(env), aliasRemoveCommand(env))
	return c
}

func aliasListCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls FUNCTION", Short: "List the aliases of a function", Long: "List the aliases of a function, and to which version dalamb rollback would take each.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Aliases(c.Context(), args[0])
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				var rows []row
				for _, a := range list.Aliases {
					before := "-"
					if a.Before != 0 {
						before = strconv.Itoa(a.Before)
					}
					rows = append(rows, cells(a.Name, sharesText(a.Shares), before, a.Path))
				}
				table(w, []string{"ALIAS", "VERSION", "ROLL-BACK TO", "PATH"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

func aliasRemoveCommand(env *environment) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "rm FUNCTION ALIAS [--yes]", Short: "Remove an alias; its versions stay",
		Long: `Remove an alias; its versions stay, until a deploy lets them go. Calls of the alias that were accepted and wait end as dead letters. The
alias live cannot be removed.`,
		Example: "  dalamb alias rm shop preview/feature-x --yes",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if !yes {
				if err := showAlias(c, node, args[0], args[1]); err != nil {
					return err
				}
				if err := confirm(c, fmt.Sprintf("remove alias %s of %s", args[1], args[0])); err != nil {
					return err
				}
			}
			gone, err := node.RemoveAlias(c.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "removed alias %s of %s, which was at version %s\n", gone.Alias.Name, gone.Function, sharesText(gone.Alias.Shares))
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	return c
}

// aliasFlag is the alias that FUNCTION or FUNCTION:ALIAS is about; --alias says the same.
func aliasFlag(c *cobra.Command, arg, flag string) (fn, alias string, err error) {
	fn, alias, some := strings.Cut(arg, ":")
	switch {
	case !some:
		return fn, flag, nil
	case fn == "" || alias == "":
		return "", "", usageError{c.CommandPath(), fmt.Errorf("%q is not FUNCTION:ALIAS", arg)}
	case c.Flags().Changed("alias") && flag != alias:
		return "", "", usageError{c.CommandPath(), fmt.Errorf("%s names the alias %s, and --alias %s: say it once", arg, alias, flag)}
	}
	return fn, alias, nil
}

// showAlias says where an alias points before somebody is asked about it.
func showAlias(c *cobra.Command, node *client.Client, fn, name string) error {
	list, err := node.Aliases(c.Context(), fn)
	if err != nil {
		return err
	}
	var names []string
	for _, a := range list.Aliases {
		if a.Name == name {
			fmt.Fprintf(c.OutOrStdout(), "%s of %s is at version %s\n", name, fn, sharesText(a.Shares))
			return nil
		}
		names = append(names, a.Name)
	}
	return fault.Missing("alias of "+fn, name, names)
}

// sharesText is "4", or "3 90 %, 4 10 %".
func sharesText(shares []wire.Share) string {
	if len(shares) == 1 {
		return strconv.Itoa(shares[0].Version)
	}
	var words []string
	for _, s := range shares {
		words = append(words, fmt.Sprintf("%d %d %%", s.Version, *s.Percent))
	}
	return strings.Join(words, ", ")
}

// aliasText does the same for an alias.
func aliasText(a *function.Alias) string {
	var shares []wire.Share
	ns := a.Versions()
	slices.Sort(ns[1:])
	for _, n := range ns {
		parts := a.Share(n)
		shares = append(shares, wire.Share{Version: n, Percent: &parts})
	}
	return sharesText(shares)
}
