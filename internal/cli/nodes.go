package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func nodeList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the nodes that share a log: how each does, and what its instances take",
		Long: `List the nodes that share a log, the one that answers first: their grades of health with the measures that are not healthy, their instances with
the memory that these have taken at most, and their addresses. Each says that of itself every few seconds; one that has said nothing for twenty seconds is not
listed. With -o json it is told of each function.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Nodes(c.Context())
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) { printNodes(w, list.Nodes) })
		},
	}
	out.flag(c)
	return c
}

func printNodes(w io.Writer, all []wire.NodeStatus) {
	var rows []row
	instances := 0
	for _, n := range all {
		id, grade := orDash(n.ID), n.Grade
		if n.Self {
			id += " (this one)"
		}
		if len(n.Reasons) > 0 {
			grade += ": " + strings.Join(n.Reasons, ", ")
		}
		var memory int64
		for _, f := range n.Functions {
			memory += f.MemoryKB << 10
		}
		rows = append(rows, cells(id, oneLine(grade), strconv.Itoa(n.Instances), bytesText(memory), n.Version, stamp(n.Started), n.Control))
		instances += n.Instances
	}
	table(w, []string{"NODE", "HEALTH", "INSTANCES", "MEMORY", "VERSION", "UP SINCE", "CONTROL"}, rows)
	if len(all) > 1 {
		fmt.Fprintf(w, "%s, %s\n", count(int64(len(all)), "node"), count(int64(instances), "instance"))
	}
}
