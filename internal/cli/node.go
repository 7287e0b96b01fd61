package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func nodeCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "node",
		Short: "Show which node answers: its addresses, version, runner, and the partitions that it works on",
		Long: `Show which node answers: its addresses, version, since when it is up, what fences its functions, the room that is left for the log, and of how many
partitions of each topic it runs the events. Of several nodes that share a log each shows itself; dalamb node ls
lists them all. What its machine gives it says dalamb doctor.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			n, err := node.Node(c.Context())
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), n, func(w io.Writer) { printNode(w, &n) })
		},
	}
	out.flag(c)
	c.AddCommand(nodeList(env))
	return c
}

func printNode(w io.Writer, n *wire.Node) {
	fence := "isolated"
	if !n.Runner.Isolated {
		fence = "FUNCTIONS ARE NOT ISOLATED"
	}
	var partitions []string
	for _, topic := range slices.Sorted(maps.Keys(n.Partitions)) {
		partitions = append(partitions, fmt.Sprintf("%s %d", topic, n.Partitions[topic]))
	}
	for _, fact := range [][2]string{
		{"node", n.ID}, {"version", n.Version}, {"up since", stamp(n.Started)}, {"gateway", n.Gateway}, {"control", n.Control}, {"data", n.Data}, {"room", n.Space},
		{"runner", n.Runner.Name + " (" + fence + ")"}, {"lacks", strings.Join(n.Runner.Lacks, ", ")},
		{"functions", fmt.Sprintf("%d on %s", n.Functions, count(int64(n.Instances), "instance"))}, {"partitions", orDash(strings.Join(partitions, ", "))},
	} {
		if fact[1] != "" {
			fmt.Fprintf(w, "%-10s  %s\n", fact[0], fact[1])
		}
	}
}
