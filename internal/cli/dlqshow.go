package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// autopsy is a dead letter and what its function wrote in all its attempts, as far as the log keeps it.
type autopsy struct {
	function.DeadLetter
	Versions []wire.RunVersion  `json:"versions,omitempty"`
	Logs     []function.LogLine `json:"logs"`
}

// triedBy says where the versions came from that tried a run; of one that the node no longer lists, nothing.
func triedBy(ctx context.Context, node *client.Client, run string) ([]wire.RunVersion, error) {
	d, err := node.Run(ctx, run)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return d.Versions, err
}

func dlqShow(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "show ID", Short: "Show a dead letter: its event, every attempt, and what the function wrote",
		Long: `Show a dead letter: its event, every attempt with its version and error, and what the function wrote in it, as far as the node
keeps logs (a week). Of the ID the first characters are enough, four at least, where no other begins so.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			l, err := node.DeadLetter(c.Context(), args[0])
			if err != nil {
				return err
			}
			lines, err := lastWords(c.Context(), node, &l)
			if err != nil {
				return err
			}
			versions, err := triedBy(c.Context(), node, l.Run.ID)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), autopsy{l, versions, lines}, func(w io.Writer) {
				printRun(w, &wire.RunDetail{Run: l.Run, Event: l.Event, Versions: versions})
				printLastWords(w, l.Run.Attempts, lines)
				fmt.Fprintf(w, "\ndalamb dlq redrive %[1]s  runs it again\ndalamb dlq edit %[1]s     runs it again with another event\ndalamb dlq discard %[1]s  gives it up\n", l.Run.ID)
			})
		},
	}
	out.flag(c)
	return c
}

// lastWords gathers what a function wrote in the run of a dead letter and in those that redrove it.
func lastWords(ctx context.Context, node *client.Client, l *function.DeadLetter) ([]function.LogLine, error) {
	runs := []string{l.Run.ID}
	page, err := node.Runs(ctx, client.RunQuery{Function: l.Run.Function, Event: l.Run.Event.ID, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, r := range page.Runs {
		if r.RedriveOf == l.Run.ID {
			runs = append(runs, r.ID)
		}
	}
	lines := []function.LogLine{}
	for _, run := range runs {
		for line, err := range node.Logs(ctx, client.LogQuery{Function: l.Run.Function, Run: run}) {
			if err != nil && fault.KindOf(err) == fault.NotFound {
				break // the function is gone, and its lines with it
			}
			if err != nil {
				return nil, err
			}
			lines = append(lines, line)
		}
	}
	slices.SortStableFunc(lines, func(a, b function.LogLine) int { return a.Time.Compare(b.Time) })
	return lines, nil
}

// printLastWords writes each line below the attempt in which it was written.
func printLastWords(w io.Writer, attempts []function.Attempt, lines []function.LogLine) {
	shown := -1
	for _, line := range lines {
		if at := attemptOf(attempts, line); at != shown {
			shown = at
			fmt.Fprintf(w, "\nwritten in attempt %d:\n", at)
		}
		fmt.Fprintf(w, "  %s  %-6s  %s\n", stamp(line.Time), line.Stream, clean(line.Text))
	}
}

// attemptOf is the number of the attempt in which a line was written: the last of the line's instance that had begun by then, or the
// first, which may have written before its beginning was noted.
func attemptOf(attempts []function.Attempt, line function.LogLine) int {
	number := 0
	for _, a := range attempts {
		if a.Instance == line.Instance && (number == 0 || !a.Start.After(line.Time)) {
			number = a.Number
		}
	}
	return number
}

func dlqEdit(env *environment) *cobra.Command {
	var out output
	var file string
	var version int
	c := &cobra.Command{
		Use: "edit ID [--event JSON|@FILE|-]", Example: `  dalamb dlq edit 6b1f... --event '{"data":{"order":"o-1","total":12}}'`, Short: "Run a dead letter again with another event",
		Long: `Run a dead letter again with another event in the place of its own, for its trigger alone; without --event the event is opened in
$EDITOR. The new event has an id of its own and the old one's id as causationid. When it succeeds the dead letter is resolved; when
it fails the dead letter keeps the new event, and all errors.

--event gives what is to change: what it does not say (source, type, subject, data, ...) is the old event's, and an attribute that
is null is left out. Of the ID the first characters are enough, four at least, where no other begins so.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			var text []byte
			if c.Flags().Changed("event") {
				text, err = argument(c, file)
			} else {
				text, err = editEvent(c, env, node, args[0])
			}
			if err != nil {
				return err
			}
			if !json.Valid(text) {
				return fault.New(fault.Invalid, "the event is not JSON")
			}
			done, err := node.EditDead(c.Context(), args[0], wire.DeadEdit{Event: text, Version: version})
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), done, func(w io.Writer) {
				fmt.Fprintf(w, "running %s again with event %s; dalamb runs shows what comes of it\n", args[0], done.Event)
			})
		},
	}
	c.Flags().StringVar(&file, "event", "", "what is to change, structured CloudEvents JSON: itself, or @FILE, or - for standard input")
	c.Flags().IntVar(&version, "version", 0, "run this version (default: live)")
	out.flag(c)
	return c
}

// editEvent lets a person change the event of a dead letter.
func editEvent(c *cobra.Command, env *environment, node *client.Client, id string) ([]byte, error) {
	editor := env.get("EDITOR")
	if editor == "" || !terminal(c.InOrStdin()) {
		return nil, fault.New(fault.Invalid, "there is no editor to change the event with").WithHint("set EDITOR, or give the event: --event @FILE; dalamb dlq show %s -o json has the old one", id)
	}
	l, err := node.DeadLetter(c.Context(), id)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "dalamb-event-*.json")
	if err != nil {
		return nil, fmt.Errorf("write the event for the editor: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = io.WriteString(f, indented(l.Event)+"\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("write the event for the editor: %w", err)
	}
	edit := exec.CommandContext(c.Context(), "/bin/sh", "-c", editor+` "$1"`, "sh", f.Name())
	edit.Stdin, edit.Stdout, edit.Stderr = c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr()
	if err := edit.Run(); err != nil {
		return nil, fmt.Errorf("edit the event: %w", err)
	}
	return os.ReadFile(f.Name())
}

// redriveGlance is how often redrive --wait looks how far it is.
const redriveGlance = 200 * time.Millisecond

// awaitRedrive shows how far a redrive is until all that it means have been asked to run again.
func awaitRedrive(c *cobra.Command, node *client.Client, out *output, started wire.RedriveStarted) error {
	tick := time.NewTicker(redriveGlance)
	defer tick.Stop()
	for shown := -1; ; {
		s, err := node.RedriveState(c.Context(), started.Job)
		if err != nil {
			return err
		}
		if s.Finished {
			return out.print(c.OutOrStdout(), s, func(w io.Writer) {
				fmt.Fprintf(w, "redrove %s, job %s; dalamb runs shows what comes of it\n", count(int64(s.Sent), "dead letter"), s.Job)
			})
		}
		if s.Sent != shown {
			shown = s.Sent
			fmt.Fprintf(c.ErrOrStderr(), "%d of %d\n", s.Sent, started.Selected)
		}
		select {
		case <-tick.C:
		case <-c.Context().Done():
			return c.Context().Err()
		}
	}
}
