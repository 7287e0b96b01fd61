package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// emitBatch is how many events of a file go into one request.
const emitBatch = 256

func emitCommand(env *environment) *cobra.Command {
	var out output
	var typ, id, source, subject, key, topic, data, file, gateway string
	var when later
	c := &cobra.Command{
		Use:   "emit --type T [--source S] [--subject S] [--key K] [--topic T] [--data JSON|@FILE|-] | emit -f FILE.ndjson",
		Short: "Put events into the log",
		Long: `Put an event into the log, or with -f one event for each line of a file (structured CloudEvents; - is standard input). It
returns when the events are durable, and prints where they stand.

A file is sent in batches of 256 lines, each of which is stored whole or not at all; an error names the line that it is about.`,
		Example: `  dalamb emit --type order.requested --key o-1 --data '{"order":"o-1"}'`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			due, err := when.due(time.Now())
			if err != nil {
				return err
			}
			send := sender{due: due, topic: topic, out: c.OutOrStdout(), format: &out}
			if file != "" {
				in := c.InOrStdin()
				if file != "-" {
					f, err := os.Open(file)
					if err != nil {
						return fault.New(fault.Invalid, "%w", err)
					}
					defer f.Close()
					in = f
				}
				if send.node, err = env.sender(gateway); err != nil {
					return err
				}
				return send.lines(c.Context(), in)
			}
			if typ == "" {
				return usageError{c.CommandPath(), fault.New(fault.Invalid, "an event needs a type").WithHint("say --type, or -f FILE")}
			}
			e := &event.Event{ID: cmp.Or(id, event.NewID()), Source: source, Type: typ, Subject: subject, Time: time.Now().UTC()}
			if key != "" {
				if err := e.SetExtension(event.ExtPartitionKey, key); err != nil {
					return fault.New(fault.Invalid, "--key: %w", err)
				}
			}
			if data != "" {
				if e.Data, err = argument(c, data); err != nil {
					return fmt.Errorf("read --data: %w", err)
				}
				e.DataContentType = "application/json"
				if !json.Valid(e.Data) {
					return fault.New(fault.Invalid, "--data is not JSON").WithHint(`quote a string twice: --data '"text"'`)
				}
			}
			if err := e.Validate(); err != nil {
				return fault.New(fault.Invalid, "%w", err)
			}
			if send.node, err = env.sender(gateway); err != nil {
				return err
			}
			return send.batch(c.Context(), []*event.Event{e})
		},
	}
	f := c.Flags()
	f.StringVar(&typ, "type", "", "the event's type: what happened, such as order.created")
	f.StringVar(&id, "id", "", "the event's id; with the same source it names the same event, see --dedupe of dalamb topic create (default: a new one)")
	f.StringVar(&source, "source", "/dalamb/cli", "the event's source")
	f.StringVar(&subject, "subject", "", "the event's subject")
	f.StringVar(&key, "key", "", "events of one key stay in order")
	f.StringVar(&topic, "topic", "events", "the topic")
	f.StringVarP(&data, "data", "d", "", "the payload: JSON, or @FILE, or - for standard input")
	f.StringVarP(&file, "file", "f", "", "a file with one structured event a line, or - for standard input")
	f.StringVar(&gateway, "gateway", "", "`URL` of the gateway, for a token that may send events alone or where the control listener is out of reach (default: the control listener is asked)")
	when.flags(c)
	c.MarkFlagsMutuallyExclusive("file", "type")
	c.MarkFlagsMutuallyExclusive("file", "data")
	c.MarkFlagsMutuallyExclusive("file", "id")
	out.flag(c)
	return c
}

// sender puts events into one topic and prints where they went.
type sender struct {
	node   *client.Client
	topic  string
	due    time.Time // zero = now
	out    io.Writer
	format *output
}

func (s *sender) batch(ctx context.Context, events []*event.Event) error {
	placed, err := s.node.EmitAt(ctx, s.due, s.topic, events)
	if err != nil {
		return err
	}
	asJSON, err := s.format.json()
	if err != nil {
		return err
	}
	for _, p := range placed {
		if err := s.print(p, asJSON); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) print(p wire.Stored, asJSON bool) error {
	if asJSON {
		return printLine(s.out, p)
	}
	if p.Delayed != "" {
		_, err := fmt.Fprintf(s.out, "%s  %s, not before %s: %s\n", clean(p.ID), p.Topic, p.NotBefore.Format(time.RFC3339), p.Delayed)
		return err
	}
	_, err := fmt.Fprintf(s.out, "%s  %s/%d@%d\n", clean(p.ID), p.Topic, p.Partition, p.Offset)
	return err
}

// lines sends a file of structured events, a line each.
func (s *sender) lines(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	var events []*event.Event
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		e := new(event.Event)
		if err := e.UnmarshalJSON(lines.Bytes()); err != nil {
			return fault.New(fault.Invalid, "line %d: %w", n, err).WithHint("each line is a structured CloudEvent; lines before this batch of %d are stored", emitBatch)
		}
		if events = append(events, e); len(events) == emitBatch {
			if err := s.batch(ctx, events); err != nil {
				return fmt.Errorf("lines up to %d: %w", n, err)
			}
			events = events[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return fault.New(fault.Invalid, "read the file: %w", err)
	}
	if len(events) == 0 {
		return nil
	}
	return s.batch(ctx, events)
}
