package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func upstreamsCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "upstreams [FUNCTION]", Aliases: []string{"upstream"}, Short: "Show the servers that answer routes, and how they are",
		Long: `Show the servers that answer routes in the place of functions, as this node sees them: whether each is healthy, unhealthy by its checks, or ejected for a while because
it failed requests; how many requests it has now (ACTIVE), and since the node knows it how many it got and how many of them failed. See docs/upstreams.md.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			fn := ""
			if len(args) == 1 {
				fn = args[0]
			}
			list, err := node.Upstreams(c.Context(), fn)
			if err != nil {
				return err
			}
			list = ofEnvironment(env, list, func(u *wire.Upstream) string { return u.Function })
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no route is answered by an upstream")
					return
				}
				printUpstreams(w, list)
			})
		},
	}
	out.flag(c)
	return c
}

func printUpstreams(w io.Writer, list []wire.Upstream) {
	var rows []row
	for i := range list {
		u := &list[i]
		notes := u.Left
		if u.Lost != "" {
			notes = append([]string{u.Source + ": " + u.Lost}, notes...)
		}
		where := u.Function + "/" + u.Route
		if len(u.Servers) == 0 {
			rows = append(rows, row{cells: []string{where, "(" + u.Source + ")", "-", "none", "-", "-", "-"}, notes: notes})
			continue
		}
		for j := range u.Servers {
			r := serverRow(where, &u.Servers[j])
			if j == len(u.Servers)-1 {
				r.notes = append(r.notes, notes...)
			}
			rows = append(rows, r)
		}
	}
	table(w, []string{"ROUTE", "SERVER", "WEIGHT", "STATE", "ACTIVE", "REQUESTS", "FAILURES"}, rows)
}

func serverRow(where string, s *wire.UpstreamServer) row {
	state := s.State
	if s.Until != nil {
		state += " until " + stamp(*s.Until)
	}
	r := cells(where, s.Address, strconv.Itoa(s.Weight), state, strconv.Itoa(s.Active), strconv.FormatInt(s.Requests, 10), strconv.FormatInt(s.Failures, 10))
	if s.Reason != "" {
		r.notes = []string{s.Reason}
	}
	return r
}
