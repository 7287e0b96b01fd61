package cli

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func psCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:     "ps [FUNCTION]",
		Aliases: []string{"instances"},
		Short:   "List live instances",
		Long: `List the live instances of a function, or of all functions of this node: starting, idle, busy, frozen (idle, and held still) or stopping. AGE is since
it was ready, CALLS how many it has finished, CPU and PEAK MEMORY what it has used. Below are the instances that were replaced because they misbehaved: failed
health checks, a call past its time-out, a crash, too much memory. Of all functions it is the last one of each version, of one function the last ten;
TIMES counts them on this node. The log has them all for as long as it keeps what functions print:
dalamb events --topic _dalamb.logs --filter '{"type":["dalamb.instance.replaced.v1"],"subject":["NAME"]}'. Warnings say which functions cannot have the instances that they ask for: their starts fail, they
are not well, or the node has not the places that they reserve.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			list, err := node.Instances(c.Context(), name)
			if err != nil {
				return err
			}
			list.Instances = ofEnvironment(env, list.Instances, func(i *wire.Instance) string { return i.Function })
			list.Replaced = ofEnvironment(env, list.Replaced, func(r *wire.Replacement) string { return r.Function })
			list.Troubles = ofEnvironment(env, list.Troubles, func(t *wire.Trouble) string { return t.Function })
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				if len(list.Instances) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no live instances; they are started by calls and events, and kept by scale.min")
				}
				printInstances(w, list, time.Now())
				warnOfTroubles(c.ErrOrStderr(), list.Troubles, time.Now())
			})
		},
	}
	out.flag(c)
	return c
}

func printInstances(w io.Writer, list wire.InstanceList, now time.Time) {
	var rows []row
	for _, i := range list.Instances {
		age, cpu, memory := "-", "-", "-"
		if !i.Started.IsZero() {
			age = now.Sub(i.Started).Round(time.Second).String()
		}
		if i.CPUMs > 0 {
			cpu = (time.Duration(i.CPUMs) * time.Millisecond).String()
		}
		if i.MemoryKB > 0 {
			memory = bytesText(i.MemoryKB << 10)
		}
		rows = append(rows, cells(i.ID, i.Function, strconv.Itoa(i.Version), i.State, age, strconv.FormatInt(i.Runs, 10), cpu, memory))
	}
	if len(rows) > 0 {
		table(w, []string{"INSTANCE", "FUNCTION", "VERSION", "STATE", "AGE", "CALLS", "CPU", "PEAK MEMORY"}, rows)
	}
	if len(list.Replaced) == 0 {
		return
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
	}
	rows = nil
	for _, r := range list.Replaced {
		rows = append(rows, cells(r.Instance, r.Function, strconv.Itoa(r.Version), r.Cause, strconv.Itoa(r.Times), stamp(r.At), oneLine(r.Reason)))
	}
	table(w, []string{"REPLACED", "FUNCTION", "VERSION", "CAUSE", "TIMES", "AT", "REASON"}, rows)
}
