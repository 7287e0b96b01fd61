package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/wire"
)

func eventsCommand(env *environment) *cobra.Command {
	var out output
	var o client.EventQuery
	var filter string
	c := &cobra.Command{
		Use:   "events [--topic T] [--from earliest|latest|TIME|OFFSET] [--filter PATTERN|@FILE] [-f]",
		Short: "Show events of a topic",
		Long: `Show the events of a topic, oldest first; with -f go on with what is appended from now on. --from is earliest, latest, an
offset, a time (2026-12-01T09:00:00Z, or 2026-12-01 in UTC), or how long ago (15m, 2d). Without it a plain listing begins at the
earliest event, and -f at the latest.

A line shows when the event was appended, its partition@offset, type, key (partitionkey, else subject) and the beginning of its
data. -o json prints all of it, one JSON object a line: {topic, partition, offset, time, event}.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			if err := atLeast(c, "limit", o.Limit, 0); err != nil {
				return err
			}
			pattern, err := argument(c, filter)
			if err != nil {
				return fmt.Errorf("read --filter: %w", err)
			}
			o.Filter = string(pattern)
			node, err := env.client()
			if err != nil {
				return err
			}
			ctx, stop := follow(c, o.Follow)
			defer stop()
			for e, err := range node.Events(ctx, o) {
				if err != nil {
					return ended(ctx, o.Follow, err)
				}
				if asJSON {
					err = printLine(c.OutOrStdout(), e)
				} else {
					err = printEvent(c.OutOrStdout(), e)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.Topic, "topic", "events", "the topic")
	f.StringVar(&o.From, "from", "", "earliest, latest, an offset, a time, or how long ago")
	f.StringVar(&filter, "filter", "", "only events that match this pattern: JSON, or @FILE, or -")
	f.BoolVarP(&o.Follow, "follow", "f", false, "go on with what is appended from now on")
	f.Int64Var(&o.Limit, "limit", 0, "end after so many events (0: no bound)")
	out.flag(c)
	return c
}

func printEvent(w io.Writer, e wire.EventAt) error {
	var head struct {
		Type, Subject string
		PartitionKey  any // an extension may have any type; only text is a key
		Data          json.RawMessage
		DataBase64    string `json:"data_base64"`
	}
	place := fmt.Sprintf("%d@%d", e.Partition, e.Offset)
	if len(e.Event) == 0 {
		_, err := fmt.Fprintf(w, "%s  %-7s  (no event)  %s\n", stamp(e.Time), place, short(string(e.Value), 80))
		return err
	}
	if err := json.Unmarshal(e.Event, &head); err != nil {
		return fmt.Errorf("decode the event at %s/%d@%d: %w", e.Topic, e.Partition, e.Offset, err)
	}
	data := string(head.Data)
	if data == "" {
		data = head.DataBase64
	}
	key, _ := head.PartitionKey.(string)
	_, err := fmt.Fprintf(w, "%s  %-7s  %-17s  %-14s  %s\n", stamp(e.Time), place, short(head.Type, 64), short(orDash(cmp.Or(key, head.Subject)), 64), short(data, 60))
	return err
}
