package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func alertCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "alert",
		Short: "Say when something that functions do is to be told: errors, slowness, dead letters, lag, log lines",
		Long: `Say when something that functions do is to be told. An alert that fires, or is resolved, is an event in _dalamb.alerts, to which any trigger may
listen (topic: _dalamb.alerts), and is told to a webhook where it names one.

  dalamb alert create pay-fails --when 'error-rate > 5% for 2m' --function pay
  dalamb alert create slow --when 'p95 > 500ms for 1m' --function 'shop-*'
  dalamb alert create oven --when 'log-lines > 10' --text 'oven is cold' --level warn
  dalamb alert ls

See docs/alerts.md.`,
	}
	c.AddCommand(alertCreateCommand(env), alertListCommand(env), alertShowCommand(env), alertTestCommand(env), alertRemoveCommand(env))
	return c
}

func alertCreateCommand(env *environment) *cobra.Command {
	var out output
	var a function.Alert
	var level, window, calm string
	c := &cobra.Command{
		Use:   "create NAME --when CONDITION",
		Short: "Make an alert, or put another in its place",
		Long: `Make an alert, or put another in the place of the one that is there. A condition is MEASURE > BOUND [for DURATION], or with <. Measures, over the window:
error-rate (of invocations, of 10 at least; 5%), p95 (of their durations; 500ms), invocations, dead-letters, breakers-opened, log-lines (of --level and with
--text), and lag (of the trigger that is furthest behind, now). All functions that fit are measured together.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			a.Name, a.Level = args[0], function.LogLevel(level)
			for _, d := range []struct {
				flag, text string
				to         *function.Duration
			}{{"window", window, &a.Window}, {"calm", calm, &a.Calm}} {
				if d.text == "" {
					continue
				}
				if err := d.to.UnmarshalText([]byte(d.text)); err != nil {
					return usageError{c.CommandPath(), fmt.Errorf("--%s: %w", d.flag, err)}
				}
			}
			if err := a.Validate(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			made, err := node.SetAlert(c.Context(), a)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), made, func(w io.Writer) {
				if made.Unchanged {
					fmt.Fprintf(w, "%s  unchanged: it is so already\n", made.Name)
					return
				}
				fmt.Fprintf(w, "%s  set: %s\n", made.Name, made.When)
				if made.Missing != nil {
					fmt.Fprintf(c.ErrOrStderr(), "warning: no function fits %s now; one that comes later is measured\n", clean(strings.Join(made.Missing, ", ")))
				}
			})
		},
	}
	f := c.Flags()
	f.StringVar(&a.When, "when", "", "the condition: MEASURE > BOUND [for DURATION]; measures: "+strings.Join(function.AlertMeasures(), ", "))
	f.StringSliceVar(&a.Functions, "function", nil, "functions that are measured together; a star stands for any characters but a dot (default: all)")
	f.StringVar(&window, "window", "", "what is measured: the last so long (default 1m)")
	f.StringVar(&calm, "calm", "", "how long it must not be so until the alert is resolved (default: as long as it has to be so, 30s at least)")
	f.StringVar(&level, "level", "", "of log-lines: the least serious that counts: "+strings.Join(function.LogLevels(), ", "))
	f.StringVar(&a.Text, "text", "", "of log-lines: only those with this text, in capitals or not")
	f.StringVar(&a.Webhook, "webhook", "", "whom to tell, by a signed POST: a URL")
	f.StringVar(&a.Secret, "secret", "", "name of the secret that signs it")
	_ = c.MarkFlagRequired("when") // it is there
	out.flag(c)
	return c
}

func alertListCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "ls",
		Short: "List alerts, and which of them fire",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return inquiry[[]wire.Alert]{
				func(node *client.Client) ([]wire.Alert, error) { return node.Alerts(c.Context()) },
				func(w io.Writer, list *[]wire.Alert) {
					if len(*list) == 0 {
						fmt.Fprintln(c.ErrOrStderr(), "no alerts; dalamb alert create makes one")
						return
					}
					var rows []row
					for _, a := range *list {
						since := "-"
						if a.Since != nil {
							since = stamp(*a.Since)
						}
						rows = append(rows, cells(a.Name, string(a.State), since, a.When, ofFunctions(&a)))
					}
					table(w, []string{"ALERT", "STATE", "SINCE", "WHEN", "FUNCTIONS"}, rows)
				},
			}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

// ofFunctions is which functions an alert measures, and which of its globs no function fits.
func ofFunctions(a *wire.Alert) string {
	if len(a.Functions) == 0 {
		return "all"
	}
	var globs []string
	for _, glob := range a.Functions {
		if slices.Contains(a.Missing, glob) {
			glob += " (none)"
		}
		globs = append(globs, glob)
	}
	return strings.Join(globs, ", ")
}

func alertShowCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show an alert, and when it fired and was resolved",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return inquiry[wire.AlertDetail]{
				func(node *client.Client) (wire.AlertDetail, error) { return node.Alert(c.Context(), args[0]) },
				func(w io.Writer, a *wire.AlertDetail) {
					text := ""
					if a.Text != "" {
						text = fmt.Sprintf("%q", a.Text)
					}
					for _, l := range [][2]string{
						{"state", string(a.State)}, {"when", a.When}, {"functions", ofFunctions(&a.Alert)}, {"window", function.Duration(a.Span()).String()}, {"level", string(a.Level)}, {"text", text},
						{"webhook", a.Webhook}, {"secret", a.Secret},
					} {
						if l[1] != "" {
							fmt.Fprintf(w, "%-9s  %s\n", l[0], clean(l[1]))
						}
					}
					if i := slices.IndexFunc(a.Tellings, func(t function.AlertTold) bool { return t.Error != "" }); i >= 0 {
						fmt.Fprintf(w, "%-9s  %s: %s (%s)\n", "untold", stamp(a.Tellings[i].At), clean(a.Tellings[i].Error), outcome(&a.Tellings[i]))
					}
					fmt.Fprintln(w)
					if len(a.History) == 0 {
						fmt.Fprintln(w, "it has never fired")
						return
					}
					var rows []row
					for _, h := range a.History {
						note := h.Reason
						if h.Test {
							note = "a test"
						}
						rows = append(rows, cells(stamp(h.Since), string(h.State), h.Shown, orDash(note)))
					}
					table(w, []string{"AT", "STATE", "VALUE", "WHY"}, rows)
				},
			}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

// outcome is how far one that fails is.
func outcome(t *function.AlertTold) string {
	if t.Again {
		return "it is tried again"
	}
	return "given up after " + count(int64(t.Tries), "try")
}

// tellPatience is how long alert test waits for what came of the webhook.
const tellPatience = 20 * time.Second

func alertTestCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: "Tell triggers and the webhook of an alert what they are told when it fires, marked as a test",
		Long: `Tell triggers and the webhook of an alert what they are told when it fires, marked as a test, and say what came of the webhook.

Exit codes: 0 it was told, and the webhook has taken it; 1 the webhook has not; 2 the command line is wrong.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			tested, err := node.TestAlert(c.Context(), args[0])
			if err != nil {
				return err
			}
			if !tested.Webhook {
				fmt.Fprintf(c.OutOrStdout(), "%s  told, as a test; its state is what it was\n", args[0])
				return nil
			}
			t, err := telling(c.Context(), node, args[0], tested.Event)
			switch {
			case err != nil:
				return err
			case t == nil:
				return fault.New(fault.Timeout, "%s: triggers were told, as a test, and what came of the webhook is not known after %s", args[0], tellPatience).WithHint("dalamb alert show %s says it when it is", args[0])
			case t.Error != "":
				return fault.New(fault.Unavailable, "%s: triggers were told, as a test, and the webhook was not: %s (%s)", args[0], clean(t.Error), outcome(t)).
					WithHint("see that the address is right, that it takes what the secret signs, and that callbacks.allow names its network where it is not of the internet; docs/alerts.md")
			}
			fmt.Fprintf(c.OutOrStdout(), "%s  told, as a test, and its webhook too; its state is what it was\n", args[0])
			return nil
		},
	}
}

// telling waits for what came of telling an alert's webhook an event; nil = nothing in time.
func telling(ctx context.Context, node *client.Client, name, event string) (*function.AlertTold, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(tellPatience); time.Now().Before(late); {
		a, err := node.Alert(ctx, name)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(a.Tellings, func(t function.AlertTold) bool { return t.Event == event }); i >= 0 {
			return &a.Tellings[i], nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, nil
}

func alertRemoveCommand(env *environment) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "rm NAME [--yes]",
		Short: "Take an alert away",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if !yes {
				if err := alertThere(c.Context(), node, args[0]); err != nil {
					return err
				}
				if err := confirm(c, "remove the alert "+args[0]); err != nil {
					return err
				}
			}
			if err := node.RemoveAlert(c.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "removed the alert %s\n", args[0])
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}
