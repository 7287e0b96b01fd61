package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func eventsCommand(env *environment) *cobra.Command {
	var out output
	var o client.EventQuery
	var filter string
	var newest bool
	var older string
	c := &cobra.Command{
		Use:   "events [--topic T] [--from earliest|latest|TIME|OFFSET] [--filter PATTERN|@FILE] [-f | --newest]",
		Short: "Show events of a topic",
		Long: `Show the events of a topic, oldest first; with -f go on with what is appended from now on. --from is earliest, latest, an
offset, a time (2026-12-01T09:00:00Z, or 2026-12-01 in UTC), or how long ago (15m, 2d). Without it a plain listing begins at the
earliest event, and -f at the latest.

A line shows when the event was appended, its partition@offset, type, key (partitionkey, else subject) and the beginning of its
data. -o json prints all of it, one JSON object a line: {topic, partition, offset, time, event}.

--newest begins with the newest and goes back to the time of --from, 50 of them or as many as --limit says. A search by --filter or
--key ends after 3 seconds; stderr says how far back it came, and the --older that goes on from there. -o json prints one object:
{events, older, looked, whole, since}.

A search by key, or by a type in the filter, does not read those of the embedded log's events that cannot have it; on Kafka it reads
all, so that --from shortens it.

--key reads the partition of that key alone. What was appended before the topic was widened may stand in another one: look for that with --filter.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			if err := givenKey(c); err != nil {
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
			switch {
			case newest && o.Follow:
				return usageError{c.CommandPath(), fault.New(fault.Invalid, "--newest lists what there is, and -f what comes").WithHint("leave one of them out")}
			case newest && noTime(o.From):
				return usageError{c.CommandPath(), fault.New(fault.Invalid, "--from %s: --newest goes back to a time, and begins at the end", fault.Clip(o.From)).WithHint("give a time, or how long ago: --from 2h")}
			case older != "" && !newest:
				return usageError{c.CommandPath(), fault.New(fault.Invalid, "--older goes on with a listing of --newest, and without that there is none").WithHint("%s --newest --older %s", c.CommandPath(), fault.Clip(older))}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			if newest {
				return printNewest(c, node, &out, client.NewestQuery{Topic: o.Topic, Key: o.Key, Filter: o.Filter, Since: o.From, Limit: o.Limit, Older: older})
			}
			ctx, stop := follow(c, o.Follow)
			defer stop()
			lines := newEventLines(c.OutOrStdout())
			for e, err := range node.Events(ctx, o) {
				if err != nil {
					return ended(ctx, o.Follow, err)
				}
				if asJSON {
					err = printLine(c.OutOrStdout(), e)
				} else {
					err = lines.print(e)
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
	f.StringVar(&o.Key, "key", "", "only events of this key")
	f.Int64Var(&o.Limit, "limit", 0, "end after so many events (0: no bound)")
	f.BoolVar(&newest, "newest", false, "begin with the newest")
	f.StringVar(&older, "older", "", "with --newest: go on where a listing before ended")
	out.flag(c)
	return c
}

// noTime says whether a place to begin is an offset or an end of the log.
func noTime(from string) bool {
	_, err := strconv.ParseInt(from, 10, 64)
	return err == nil || from == "earliest" || from == "latest"
}

// printNewest prints one page, the newest event first.
func printNewest(c *cobra.Command, node *client.Client, out *output, q client.NewestQuery) error {
	page, err := node.NewestEvents(c.Context(), q)
	if err != nil {
		return err
	}
	var failed error
	err = out.print(c.OutOrStdout(), page, func(w io.Writer) {
		lines := newEventLines(w)
		for _, e := range page.Events {
			if failed = cmp.Or(failed, lines.print(e)); failed != nil {
				return
			}
		}
		switch {
		case page.Older == "":
			if len(page.Events) == 0 {
				fmt.Fprintf(c.ErrOrStderr(), "nothing fits among all %d events\n", page.Looked)
			}
		case len(page.Events) == 0 && page.Since.IsZero():
			fmt.Fprintf(c.ErrOrStderr(), "nothing fits among %d events, and some partitions were not looked into; go on with --older %s\n", page.Looked, page.Older)
		case len(page.Events) == 0:
			fmt.Fprintf(c.ErrOrStderr(), "nothing fits among the newest %d events, back to %s; go on with --older %s\n", page.Looked, stamp(page.Since), page.Older)
		default:
			fmt.Fprintf(c.ErrOrStderr(), "there may be more: go on with --older %s\n", page.Older)
		}
	})
	return cmp.Or(err, failed)
}

// eventLines writes events in columns. Nobody knows what comes yet, so a column grows with what does not fit, and stays so wide.
type eventLines struct {
	w               io.Writer
	place, typ, key int // characters
}

func newEventLines(w io.Writer) *eventLines { return &eventLines{w: w, place: 7, typ: 17, key: 14} }

func (l *eventLines) print(e wire.EventAt) error {
	var head struct {
		Type, Subject string
		PartitionKey  any // an extension may have any type; only text is a key
		Data          json.RawMessage
		DataBase64    string `json:"data_base64"`
		Sealed        string `json:"dalambsealed"`
	}
	place := fmt.Sprintf("%d@%d", e.Partition, e.Offset)
	if len(e.Event) == 0 {
		_, err := fmt.Fprintf(l.w, "%s  %-*s  (no event)  %s\n", stamp(e.Time), widened(&l.place, place), place, short(string(e.Value), 80))
		return err
	}
	if err := json.Unmarshal(e.Event, &head); err != nil {
		return fmt.Errorf("decode the event at %s/%d@%d: %w", e.Topic, e.Partition, e.Offset, err)
	}
	data := string(head.Data)
	if data == "" && head.Sealed != "" {
		data = "(" + clean(head.Sealed) + ")"
	} else if data == "" {
		data = head.DataBase64
	}
	key, _ := head.PartitionKey.(string)
	typ, of := short(head.Type, 64), short(orDash(cmp.Or(key, head.Subject)), 64)
	_, err := fmt.Fprintf(l.w, "%s  %-*s  %-*s  %-*s  %s\n", stamp(e.Time), widened(&l.place, place), place, widened(&l.typ, typ), typ, widened(&l.key, of), of, short(data, 60))
	return err
}

// widened is the width of a column that has to hold a cell too.
func widened(column *int, cell string) int {
	*column = max(*column, utf8.RuneCountInString(cell))
	return *column
}
