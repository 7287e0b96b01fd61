package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func explainCommand(env *environment) *cobra.Command {
	var out output
	var topic string
	c := &cobra.Command{
		Use:   "explain ID|TOPIC/PARTITION@OFFSET [--topic T]",
		Short: "Tell the story of an event",
		Long: `Tell the story of an event: where it came from; which triggers wanted it, by the platform's state when it came, and what became of it on
each, with every attempt, its version, its time and what it emitted; where it waits now; which triggers did not want it, and the first predicate of
their filters that failed. Last comes what would be otherwise if it came now. ID is that of an event or of a run, of which the
first characters are enough where no other begins so; dalamb events shows PARTITION@OFFSET.

An event that has run on some trigger is found at once, and so is one whose id dalamb has given. Others are looked for in the log, from the newest on;
--topic says where. See docs/questions.md.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return inquiry[wire.Explanation]{func(node *client.Client) (wire.Explanation, error) {
				return node.Explanation(c.Context(), args[0], topic)
			}, printExplanation}.run(c, env, &out)
		},
	}
	c.Flags().StringVar(&topic, "topic", "", "look in this topic alone")
	out.flag(c)
	return c
}

func printExplanation(w io.Writer, e *wire.Explanation) {
	var head struct {
		ID, Type, Source, Subject string
		Sealed                    string `json:"dalambsealed"`
		PartitionKey              any
		Time                      time.Time
	}
	_ = json.Unmarshal(e.Event.Event, &head) // the node has made it
	fmt.Fprintf(w, "event     %s  %s/%d@%d  id %s\n", clean(head.Type), e.Event.Topic, e.Event.Partition, e.Event.Offset, clean(head.ID))
	fmt.Fprintf(w, "appended  %s\n", stamp(e.Event.Time))
	key, _ := head.PartitionKey.(string)
	if key == "" {
		key = head.Subject
	}
	if key != "" {
		fmt.Fprintf(w, "key       %s\n", clean(short(key, 100)))
	}
	if head.Sealed != "" {
		fmt.Fprintf(w, "data      gone: %s\n", clean(head.Sealed))
	}
	fmt.Fprintf(w, "from      %s\n", clean(e.Source.Text))
	if e.Source.Event != "" {
		fmt.Fprintf(w, "caused by %s\n", clean(e.Source.Event))
	}
	if e.Found.By == "scan" {
		fmt.Fprintf(w, "found     by looking at %s, back to %s\n", count(int64(e.Found.Looked), "event"), stamp(e.Found.Since))
	}
	if r := e.Source.Request; r != nil {
		for _, one := range r.Emitted {
			fmt.Fprintf(w, "emitted   %s to %s  id %s\n", clean(one.Type), one.Topic, one.ID)
		}
	}
	if len(e.Wanted) == 0 {
		fmt.Fprintf(w, "\nno trigger wanted it\n")
	}
	for i := range e.Wanted {
		printWanted(w, &e.Wanted[i])
	}
	printRefused(w, e)
	if len(e.Now) > 0 {
		fmt.Fprintf(w, "\nsince then\n")
	}
	for _, n := range e.Now {
		fmt.Fprintf(w, "  %s/%s: %s\n", n.Function, n.Trigger, clean(n.Text))
	}
}

func printWanted(w io.Writer, t *wire.Wanted) {
	fmt.Fprintf(w, "\n%s/%s wanted it: %s", t.Function, t.Trigger, t.State)
	if t.Version > 0 {
		fmt.Fprintf(w, "  (live was at version %d)", t.Version)
	}
	fmt.Fprintln(w)
	if t.Reason != "" {
		fmt.Fprintf(w, "  %s\n", clean(t.Reason))
	}
	for i := range t.Runs {
		printRunStory(w, &t.Runs[i])
	}
}

// printRunStory tells a run in sentences, one for each attempt.
func printRunStory(w io.Writer, r *function.Run) {
	fmt.Fprintf(w, "  run %s  %s", r.ID, r.State)
	if !r.Finished.IsZero() {
		fmt.Fprintf(w, " at %s", stamp(r.Finished))
	}
	fmt.Fprintln(w)
	if r.RedriveOf != "" {
		fmt.Fprintf(w, "    a redrive of dead letter %s\n", r.RedriveOf)
	}
	for _, a := range r.Attempts {
		fmt.Fprintf(w, "    %s\n", attemptWords(&a))
		if a.Note != "" {
			fmt.Fprintf(w, "      %s\n", clean(a.Note))
		}
		if a.Failure != nil {
			for _, line := range wrapped(clean(short(failureText(a.Failure), 1000)), noteWidth) {
				fmt.Fprintf(w, "      %s\n", line)
			}
		}
		if !a.Next.IsZero() {
			fmt.Fprintf(w, "      the next one is due, or was, at %s\n", stamp(a.Next))
		}
	}
	if r.Reason != "" {
		fmt.Fprintf(w, "    %s: %s\n", r.State, clean(r.Reason))
	}
	if _, over := settled(r); r.State == function.RunDead && !over {
		fmt.Fprintf(w, "    it is a dead letter: dalamb dlq show %s\n", r.ID)
	}
	for _, e := range r.Emitted {
		fmt.Fprintf(w, "    emitted %s to %s  id %s\n", clean(e.Type), e.Topic, e.ID)
	}
	if s := r.Sent; s != nil && s.Error == "" {
		fmt.Fprintf(w, "    told %s  id %s\n", &s.Destination, s.ID)
	} else if s != nil {
		fmt.Fprintf(w, "    did not tell %s: %s\n", &s.Destination, clean(s.Error))
	}
	switch {
	case len(r.Result) > 0:
		fmt.Fprintf(w, "    result %s\n", clean(short(string(r.Result), 200)))
	case len(r.ResultRaw) > 0:
		fmt.Fprintf(w, "    result %s\n", clean(short(string(r.ResultRaw), 200)))
	}
}

func attemptWords(a *function.Attempt) string {
	if a.Start.IsZero() {
		return fmt.Sprintf("attempt %d: %s; its node ended, and nobody wrote down more", a.Number, a.Outcome)
	}
	text := fmt.Sprintf("attempt %d: %s on version %d at %s", a.Number, a.Outcome, a.Version, stamp(a.Start))
	if a.Duration > 0 {
		text += " in " + took(a.Duration)
	}
	if a.Cold {
		text += ", on a new instance"
	}
	if a.Batch > 1 {
		text += ", in a batch of " + strconv.Itoa(a.Batch)
	}
	return text
}

func printRefused(w io.Writer, e *wire.Explanation) {
	if len(e.Refused) > 0 {
		fmt.Fprintf(w, "\nnot wanted by\n")
	}
	for _, g := range e.Refused {
		whom := strings.Join(g.Triggers, ", ")
		if rest := g.Count - len(g.Triggers); rest > 0 {
			whom += fmt.Sprintf(" and %d others", rest)
		}
		why := g.Reason
		if g.Path != "" {
			why = g.Path + " " + g.Reason
		}
		fmt.Fprintf(w, "  %s: %s\n", whom, clean(short(why, 400)))
	}
	if e.More > 0 {
		fmt.Fprintf(w, "  and by others, for %d more reasons\n", e.More)
	}
}
