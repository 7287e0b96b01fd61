package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func topicCommand(env *environment) *cobra.Command {
	c := &cobra.Command{Use: "topic", Short: "List, make, change, copy and delete topics", Args: cobra.NoArgs}
	c.AddCommand(topicList(env), topicShow(env), topicCreate(env), topicAlter(env), topicCopy(env), topicDelete(env))
	return c
}

func topicList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List topics", Long: "List topics, dalamb's own included.", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			topics, err := node.Topics(c.Context())
			if err != nil {
				return err
			}
			topics = ofEnvironment(env, topics, func(t *wire.Topic) string { return t.Name })
			return out.print(c.OutOrStdout(), topics, func(w io.Writer) { printTopics(w, topics) })
		},
	}
	out.flag(c)
	return c
}

func printTopics(w io.Writer, topics []wire.Topic) {
	slices.SortStableFunc(topics, func(a, b wire.Topic) int { // users' own first
		switch {
		case a.System == b.System:
			return 0
		case b.System:
			return -1
		}
		return 1
	})
	var rows []row
	for _, t := range topics {
		kind := "user"
		if t.System {
			kind = "system"
		}
		if t.Compact {
			kind += ", compacted"
		}
		r := cells(t.Name, strconv.Itoa(int(t.Partitions)), t.Retention, roughly(t.MaxBytes), kind)
		r.notes = rulesOf(t)
		rows = append(rows, r)
	}
	table(w, []string{"TOPIC", "PARTITIONS", "KEPT FOR", "KEPT UP TO", "KIND"}, rows)
	for _, t := range topics {
		for _, warning := range t.Warnings {
			fmt.Fprintf(w, "warning: %s\n", warning)
		}
	}
}

func topicShow(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "show NAME", Short: "Show a topic and where its partitions begin and end", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			t, err := node.Topic(c.Context(), args[0])
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), t, func(w io.Writer) {
				printTopics(w, []wire.Topic{t})
				fmt.Fprintln(w)
				var rows []row
				for _, p := range t.Bounds {
					rows = append(rows, cells(strconv.Itoa(int(p.ID)), strconv.FormatInt(p.Start, 10), strconv.FormatInt(p.End, 10)))
				}
				table(w, []string{"PARTITION", "FIRST OFFSET", "NEXT OFFSET"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

func topicCreate(env *environment) *cobra.Command {
	var out output
	var t wire.TopicCreate
	var rules ruleFlags
	c := &cobra.Command{
		Use: "create NAME", Short: "Make a topic", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := atLeast(c, "partitions", t.Partitions, 1); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			if t.Rules, err = rules.change(c); err != nil {
				return err
			}
			t.Name = args[0]
			made, err := node.CreateTopic(c.Context(), t)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), made, func(w io.Writer) { printTopics(w, []wire.Topic{made}) })
		},
	}
	c.Flags().Int32Var(&t.Partitions, "partitions", 0, "how many partitions (default 8)")
	c.Flags().StringVar(&t.Retention, "retention", "", "how long events are kept: a duration such as 72h or 30d, or forever (default 30d)")
	c.Flags().StringVar(&t.MaxBytes, "max-bytes", "", "how much is kept: a size such as 10Gi, at least 1Mi, or forever (default 10Gi)")
	c.Flags().BoolVar(&t.Compact, "compact", false, "keep the newest event of each key")
	rules.flags(c)
	out.flag(c)
	return c
}

func topicAlter(env *environment) *cobra.Command {
	var out output
	var partitions int32
	var retention, maxBytes string
	var rules ruleFlags
	c := &cobra.Command{
		Use: "alter NAME", Short: "Change a topic; partitions may only grow",
		Long: "Change a topic; partitions may only grow. Of dalamb's own topics those that tell what happened, such as _dalamb.runs, can be kept for longer than dalamb keeps them.", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var change wire.TopicAlter
			if c.Flags().Changed("partitions") {
				change.Partitions = &partitions
			}
			if c.Flags().Changed("retention") {
				change.Retention = &retention
			}
			if c.Flags().Changed("max-bytes") {
				change.MaxBytes = &maxBytes
			}
			var err error
			if change.Rules, err = rules.change(c); err != nil {
				return err
			}
			if change == (wire.TopicAlter{}) {
				return usageError{c.CommandPath(), fmt.Errorf("say what to change: --partitions, --retention, --max-bytes, or a rule such as --writers")}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			t, err := node.AlterTopic(c.Context(), args[0], change)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), t, func(w io.Writer) { printTopics(w, []wire.Topic{t}) })
		},
	}
	c.Flags().Int32Var(&partitions, "partitions", 0, "how many partitions; events of one key keep their order only among those appended before, or after, the change")
	c.Flags().StringVar(&retention, "retention", "", "how long events are kept, or forever")
	c.Flags().StringVar(&maxBytes, "max-bytes", "", "how much is kept, at least 1Mi, or forever")
	rules.flags(c)
	out.flag(c)
	return c
}

func topicDelete(env *environment) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "delete NAME --yes", Short: "Remove a topic and its events",
		Long: "Remove a topic and its events. Without --yes nothing is removed, and how many events it holds is said.", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			t, err := node.Topic(c.Context(), args[0])
			if fault.KindOf(err) == fault.NotFound {
				list, listed := node.Topics(c.Context())
				if listed != nil {
					return listed
				}
				return cmp.Or(standing("topic", args[0], list, func(t *wire.Topic) string { return t.Name }), err)
			}
			if err != nil {
				return err
			}
			if !yes && !t.System { // dalamb's own are refused by the node
				return fault.New(fault.Invalid, "topic %q holds %s, which would go with it", t.Name, held(t.Bounds)).
					WithHint("to delete it all the same: %s %s --yes", c.CommandPath(), t.Name)
			}
			if err := node.DeleteTopic(c.Context(), t.Name); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "deleted %s\n", t.Name)
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "delete it with all that it holds")
	return c
}

// held says how many events lie between the bounds of partitions.
func held(bounds []wire.Partition) string {
	var n int64
	for _, p := range bounds {
		n += p.End - p.Start
	}
	return count(n, "event")
}
