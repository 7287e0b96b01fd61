package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/wire"
)

// Widths of the columns of a trace, in characters.
const (
	traceBar  = 24
	traceName = 46
)

func traceCommand(env *environment) *cobra.Command {
	var out output
	var topic string
	c := &cobra.Command{
		Use:   "trace ID [--topic T]",
		Short: "Show what led to an event and what it led to, as a tree",
		Long: `Show the tree that an event belongs to: from the first event or request that can be found, through every run, to the last event that
came of it. ID is that of an event or of a run, a W3C trace id (32 hexadecimal digits), or TOPIC/PARTITION@OFFSET. Each line has when it began after the
first, how long it took, and where that lies in the whole. A tree ends at 500 nodes; what is missing is said below it.

No index knows W3C trace ids: they are looked for in the log, from the newest events on, in --topic or in all. See docs/questions.md.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return inquiry[wire.Trace]{func(node *client.Client) (wire.Trace, error) { return node.Trace(c.Context(), args[0], topic) }, printTrace}.run(c, env, &out)
		},
	}
	c.Flags().StringVar(&topic, "topic", "", "look in this topic alone")
	out.flag(c)
	return c
}

func printTrace(w io.Writer, t *wire.Trace) {
	whole := t.Ended.Sub(t.Began)
	fmt.Fprintf(w, "%d nodes, from %s, over %s\n\n", t.Nodes, stamp(t.Began), rounded(whole))
	for i := range t.Roots {
		printTraceNode(w, t, &t.Roots[i], 0)
	}
	for _, line := range t.Cut {
		fmt.Fprintf(w, "\nmissing: %s\n", clean(line))
	}
}

func printTraceNode(w io.Writer, t *wire.Trace, n *wire.TraceNode, depth int) {
	name := strings.Repeat("  ", min(depth, 15)) + clean(n.Name)
	name = short(name, traceName)
	fmt.Fprintf(w, "%s%s  %8s  %8s  |%s|  %s\n", name, strings.Repeat(" ", max(0, traceName-utf8.RuneCountInString(name))),
		since(t.Began, n.Began), tookOrDash(n), bar(t, n), traceFacts(n))
	for i := range n.Below {
		printTraceNode(w, t, &n.Below[i], depth+1)
	}
}

func since(first, at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return "+" + rounded(at.Sub(first))
}

func tookOrDash(n *wire.TraceNode) string {
	if n.Took <= 0 {
		return "-"
	}
	return rounded(n.Took.Std())
}

// rounded is a duration in at most seven characters, below an hour.
func rounded(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// bar shows where a node lies in the whole time of its trace: a point for what has no length.
func bar(t *wire.Trace, n *wire.TraceNode) string {
	cells := []rune(strings.Repeat(" ", traceBar))
	if n.Began.IsZero() {
		return string(cells)
	}
	whole := max(t.Ended.Sub(t.Began), 1)
	at := func(when time.Time) int {
		return min(max(int(int64(when.Sub(t.Began))*traceBar/int64(whole)), 0), traceBar-1)
	}
	from := at(n.Began)
	if n.Took <= 0 {
		cells[from] = '.'
		return string(cells)
	}
	for i := from; i <= at(n.Began.Add(n.Took.Std()-1)); i++ {
		cells[i] = '='
	}
	cells[from] = '='
	return string(cells)
}

// traceFacts is what else there is to say of a node.
func traceFacts(n *wire.TraceNode) string {
	var facts []string
	add := func(format string, args ...any) { facts = append(facts, fmt.Sprintf(format, args...)) }
	if n.State != "" {
		add("%s", n.State)
	}
	if n.Attempts > 1 {
		add("%d attempts", n.Attempts)
	}
	if n.Version > 0 {
		add("version %d", n.Version)
	}
	if n.At != "" {
		add("%s", n.At)
	}
	if n.Key != "" {
		add("key %s", short(clean(n.Key), 40))
	}
	if n.Note != "" {
		add("%s", short(clean(n.Note), 100))
	}
	add("id %s", clean(n.ID))
	return strings.Join(facts, "  ")
}
