package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func envQuota(env *environment) *cobra.Command {
	var out output
	var none bool
	var given function.Quota
	bounds := []*bound{
		{name: "functions", help: "functions", set: whole(&given.Functions), put: func(q *function.Quota) { q.Functions = given.Functions }},
		{name: "topics", help: "topics of its own", set: whole(&given.Topics), put: func(q *function.Quota) { q.Topics = given.Topics }},
		{name: "instances", help: "instances on each node", set: whole(&given.Instances), put: func(q *function.Quota) { q.Instances = given.Instances }},
		{name: "memory", help: "memory of its instances on each node, by the bound of each, such as 2Gi", set: given.Memory.UnmarshalText, put: func(q *function.Quota) { q.Memory = given.Memory }},
		{name: "calls", help: "calls of its functions on each node, such as 100/s, 1000/m", set: given.Calls.UnmarshalText, put: func(q *function.Quota) { q.Calls = given.Calls }},
		{name: "events", help: "events that are sent to its topics on each node, such as 500/s", set: given.Events.UnmarshalText, put: func(q *function.Quota) { q.Events = given.Events }},
	}
	c := &cobra.Command{
		Use: "quota [NAME] [--functions N] [--topics N] [--instances N] [--memory SIZE] [--calls RATE] [--events RATE]", Short: "Show what environments may have, or change it", Args: cobra.MaximumNArgs(1),
		Long: `Show what environments may have and do at most, and what they have; or change that of one. production is what is in no environment.

What is not named stays as it is, and a bound of 0 is none. Instances, memory, calls and events are of each node. What an environment has already it keeps: a quota
that is lower than that refuses what is new, and lets instances end that have nothing to do. docs/tenants.md says what happens at each bound.`,
		Example: `  dalamb env quota
  dalamb env quota acme --functions 20 --instances 8 --memory 2Gi --calls 100/s --events 500/s
  dalamb env quota acme --calls 0
  dalamb env quota acme --none`,
		RunE: func(c *cobra.Command, args []string) error {
			changes := none
			for _, b := range bounds {
				if !c.Flags().Changed(b.name) {
					continue
				}
				changes = true
				if b.text == "0" {
					continue
				}
				if err := b.set([]byte(b.text)); err != nil {
					return usageError{c.CommandPath(), fmt.Errorf("--%s: %w", b.name, err)}
				}
			}
			if changes && len(args) == 0 {
				return usageError{c.CommandPath(), fmt.Errorf("name the environment whose quota it is; %s is what is in none", function.Production)}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Quotas(c.Context())
			if err != nil {
				return err
			}
			if len(args) > 0 {
				is := func(q wire.Quota) bool { return q.Environment == args[0] }
				switch i := slices.IndexFunc(list, is); {
				case i >= 0:
					list = list[i : i+1]
				case !changes && !none:
					return fault.New(fault.NotFound, "there is nothing in environment %q, and no quota for it", fault.Clip(args[0])).WithHint("`dalamb env quota` shows which there are")
				default:
					list = []wire.Quota{{Environment: args[0]}}
				}
			}
			if changes {
				quota := list[0].Allowed
				if none {
					quota = function.Quota{}
				}
				for _, b := range bounds {
					if c.Flags().Changed(b.name) {
						b.put(&quota)
					}
				}
				if list[0], err = node.SetQuota(c.Context(), args[0], quota); err != nil {
					return err
				}
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) { printQuotas(w, list) })
		},
	}
	for _, b := range bounds {
		c.Flags().StringVar(&b.text, b.name, "", b.help)
	}
	c.Flags().BoolVar(&none, "none", false, "take all bounds away that are not named beside it")
	out.flag(c)
	return c
}

// bound is one of a quota, as flags give it.
type bound struct {
	name, help string
	text       string
	set        func(text []byte) error
	put        func(q *function.Quota)
}

// whole reads a number from 1.
func whole(into *int) func([]byte) error {
	return func(text []byte) error {
		n, err := strconv.Atoi(string(text))
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number from 1, and 0 is no bound", text)
		}
		*into = n
		return nil
	}
}

// printQuotas shows what is used of what is allowed.
func printQuotas(w io.Writer, list []wire.Quota) {
	var rows []row
	for _, q := range list {
		rows = append(rows, cells(q.Environment,
			usedOf(strconv.Itoa(q.Used.Functions), q.Allowed.Functions > 0, strconv.Itoa(q.Allowed.Functions)),
			usedOf(strconv.Itoa(q.Used.Topics), q.Allowed.Topics > 0, strconv.Itoa(q.Allowed.Topics)),
			usedOf(strconv.Itoa(q.Used.Instances), q.Allowed.Instances > 0, strconv.Itoa(q.Allowed.Instances)),
			usedOf(q.Used.Memory.String(), q.Allowed.Memory > 0, q.Allowed.Memory.String()),
			rateOf(q.Allowed.Calls), rateOf(q.Allowed.Events)))
	}
	table(w, []string{"ENVIRONMENT", "FUNCTIONS", "TOPICS", "INSTANCES", "MEMORY", "CALLS", "EVENTS"}, rows)
}

func usedOf(used string, bounded bool, allowed string) string {
	if !bounded {
		return used
	}
	return used + " of " + allowed
}

func rateOf(r function.Rate) string {
	if r.Count == 0 {
		return "-"
	}
	return r.String()
}
