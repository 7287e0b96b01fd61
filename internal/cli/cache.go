package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func cacheCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "cache", Short: "Empty the caches of routes",
		Long: "Empty the caches of routes. What routes keep of their answers is in docs/cache.md.",
		Args: cobra.NoArgs,
	}
	c.AddCommand(cachePurge(env))
	return c
}

func cachePurge(env *environment) *cobra.Command {
	var out output
	var what wire.CachePurge
	c := &cobra.Command{
		Use: "purge FUNCTION", Short: "Empty the caches of a function's routes, on every node",
		Long: `Empty the caches of a function's routes, on every node: all of them, one route's, or what is kept of one path, whatever the query. Every
node is told by the log and empties its own a moment later; a request that is under way then leaves nothing behind.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			done, err := node.PurgeCache(c.Context(), args[0], what)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), done, func(w io.Writer) {
				of := ""
				if done.Path != "" {
					of = clean(done.Path) + " of "
				}
				fmt.Fprintf(w, "purged %s%s (%s)\n", of, done.Function, strings.Join(done.Routes, ", "))
			})
		},
	}
	c.Flags().StringVar(&what.Route, "route", "", "of this route alone, by its trigger's name")
	c.Flags().StringVar(&what.Path, "path", "", "what is kept of this path alone, such as /products/7")
	out.flag(c)
	return c
}
