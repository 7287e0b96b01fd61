package cli

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func healthCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "health [FUNCTION]",
		Short: "Say how well the node, or a function on it, does",
		Long: `Say how well the node and its functions do that were called lately, or one function: healthy, degraded or unhealthy, by averages over the last while
(health.window) that are held against the node's bounds (health.store, queue, errors, response). A measure with few samples is healthy. BOUNDS are those from which on an average is
degraded and unhealthy. Of the sinks of log lines (logs.ship) it says how far they are behind, and why they fail; and where the lag of some triggers is not wholly known, why. See docs/health.md.

Exit codes: 0 healthy or degraded, 1 unhealthy, or there is no such node or function, 2 the input is wrong.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			var all wire.NodeHealth
			var answer any = &all
			list := func() []wire.Health { return append([]wire.Health{all.Health}, all.Functions...) }
			if len(args) == 1 {
				answer = &all.Health
				all.Health, err = node.FunctionHealth(c.Context(), args[0])
			} else {
				all, err = node.Health(c.Context())
				all.Functions = ofEnvironment(env, all.Functions, func(h *wire.Health) string { return h.Function })
			}
			if err != nil {
				return err
			}
			if err := out.print(c.OutOrStdout(), answer, func(w io.Writer) {
				printHealth(w, list())
				printShipping(w, all.Shipping)
				printLagTrouble(w, all.LagTrouble)
			}); err != nil {
				return err
			}
			if n, err := node.Node(c.Context()); err == nil { // who may not ask for it gets the grades nevertheless
				fmt.Fprint(c.ErrOrStderr(), notKept(n.Space))
			}
			if all.Grade == "unhealthy" {
				return exitCode(exitFailed)
			}
			return nil
		},
	}
	out.flag(c)
	return c
}

func printHealth(w io.Writer, all []wire.Health) {
	var rows []row
	for _, h := range all {
		whom := h.Function
		if whom == "" {
			whom = "(node)"
		}
		for _, m := range h.Measures {
			bounds := "-"
			if m.Unhealthy > 0 {
				bounds = measured(m.Name, m.Degraded) + " " + measured(m.Name, m.Unhealthy)
			}
			average := "-"
			if m.Samples > 0 {
				average = measured(m.Name, m.Average)
			}
			rows = append(rows, cells(whom, m.Name, m.Grade, average, bounds, strconv.Itoa(m.Samples)))
		}
	}
	table(w, []string{"WHO", "MEASURE", "GRADE", "AVERAGE", "BOUNDS", "SAMPLES"}, rows)
}

// printShipping tells how the sinks of log lines do, where there are any.
func printShipping(w io.Writer, all []wire.Shipping) {
	if len(all) == 0 {
		return
	}
	var rows []row
	for _, s := range all {
		state, since := "ok", "-"
		if s.Failing != "" {
			state = s.Failing
		}
		if s.Since != nil {
			since = stamp(*s.Since)
		}
		rows = append(rows, cells(s.Sink, strconv.FormatInt(s.Behind, 10), since, state))
	}
	fmt.Fprintln(w)
	table(w, []string{"LOG SINK", "BEHIND", "FAILS SINCE", "STATE"}, rows)
}

// printLagTrouble tells why some lags end with a plus sign.
func printLagTrouble(w io.Writer, trouble string) {
	if trouble != "" {
		fmt.Fprintf(w, "\nthe lag of some triggers is not wholly known: %s\n", clean(trouble))
	}
}

// measured writes a value in the unit of its measure.
func measured(name string, v float64) string {
	switch name {
	case "errors":
		return fmt.Sprintf("%.3g%%", v*100)
	case "queue":
		return fmt.Sprintf("%.4g", v)
	}
	d := time.Duration(v * float64(time.Second))
	return d.Round(10 * time.Microsecond).String()
}
