package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
)

func watchCommand(env *environment) *cobra.Command {
	var out output
	var kind, since string
	c := &cobra.Command{
		Use:   "watch",
		Short: "Show functions, services and configuration as they change",
		Long: `Show all functions, services, configuration values and names of secrets that there are, and then each as it changes, until interrupted. With --since POSITION only
what has changed since; positions are in the output of -o json, which has one JSON object a line. It is what GET /v1/watch says; see docs/services.md.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			ctx, stop := follow(c, true)
			defer stop()
			for w, err := range node.Watch(ctx, kind, since) {
				if err != nil {
					return ended(ctx, true, err)
				}
				if asJSON {
					err = printLine(c.OutOrStdout(), w)
				} else {
					err = printChange(c.OutOrStdout(), w)
				}
				if err != nil {
					return err
				}
			}
			return fault.New(fault.Unavailable, "the node has stopped").WithHint("go on when it is back: dalamb watch --since POSITION")
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "only this: function, service, config or secret")
	c.Flags().StringVar(&since, "since", "", "what has changed since this position")
	out.flag(c)
	return c
}

func printChange(w io.Writer, n client.Watched) error {
	what := ""
	switch {
	case n.Reset:
		_, err := fmt.Fprintln(w, "reset     what was told before is not known any more; all follows anew")
		return err
	case n.Removed:
		what = "is gone"
	case n.Version > 0:
		what = fmt.Sprintf("live is version %d", n.Version)
	case n.Service != nil:
		healthy := 0
		for _, i := range n.Service.Instances {
			if i.Healthy {
				healthy++
			}
		}
		what = fmt.Sprintf("%d of %s healthy", healthy, count(int64(len(n.Service.Instances)), "instance"))
	default:
		what = "is set"
	}
	_, err := fmt.Fprintf(w, "%-9s %s  %s\n", n.Kind, clean(n.Name), what)
	return err
}
