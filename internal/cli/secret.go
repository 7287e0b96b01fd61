package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxSecret is more than any node takes; it bounds what is read before one is asked.
const maxSecret = 1 << 20

func secretCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "secret", Short: "Set, list and remove secrets that functions take", Args: cobra.NoArgs,
		Long: `Set, list and remove secrets. A function takes one by name, as a variable or as a file below /run/secrets:

  secrets:
    - {name: db-password, env: DB_PASSWORD}

A value is kept encrypted, and nobody can be told it again. Setting one anew replaces the instances that have it. See docs/secrets.md.`,
	}
	c.AddCommand(secretSet(env), secretList(env), removeValue(env, "secret"))
	return c
}

func secretSet(env *environment) *cobra.Command {
	var out output
	var file string
	var noWait bool
	c := &cobra.Command{
		Use: "set NAME", Short: "Give a secret a value, from stdin or a file", Args: noValue,
		Long: `Give a secret a value. It is read from stdin, without one newline at its end (a terminal is asked for it and shows nothing), or from
a file, byte by byte. It is never an argument: those can be seen by everybody on this machine, and shells remember them.

  dalamb secret set db-password < password.txt
  dalamb secret set tls-key --file tls.key

Where functions take it, their instances are replaced: the command waits for it, and warns of a function that does not start with the new
value and goes on with the older one.`,
		RunE: func(c *cobra.Command, args []string) error {
			value, err := secretValue(c, args[0], file)
			if err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			made, err := node.SetSecret(c.Context(), args[0], value)
			if err != nil {
				return err
			}
			running, err := withInstances(c.Context(), node, made.Functions)
			if err != nil {
				return err
			}
			err = out.print(c.OutOrStdout(), made, func(w io.Writer) {
				tellSet(w, setValue{made.Name, made.Revision, made.Unchanged, made.Functions, running, made.Hooks})
				for _, warning := range made.Warnings {
					fmt.Fprintf(w, "warning: %s\n", warning)
				}
			})
			if err != nil || noWait || made.Unchanged {
				return err
			}
			wait := renewals(node, c.ErrOrStderr())
			return wait.await(c.Context(), made.Functions)
		},
	}
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until instances are replaced")
	c.Flags().StringVar(&file, "file", "", "take the value from this file, byte by byte")
	out.flag(c)
	return c
}

// noValue refuses a value that is an argument, without saying it again.
func noValue(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fault.New(fault.Invalid, "the value of a secret is never an argument: this machine's users can see those, and shells remember them").
			WithHint("give it on stdin, or with --file; and take the line that was just typed out of the shell's history")
	}
	return cobra.ExactArgs(1)(c, args)
}

// setValue is what came of setting a secret or a configuration value.
type setValue struct {
	name      string
	revision  int
	unchanged bool
	functions []string
	running   []string // those of functions that have instances on the node
	hooks     []string
}

// withInstances are those of some functions that have instances on the node.
func withInstances(ctx context.Context, node *client.Client, functions []string) ([]string, error) {
	if len(functions) == 0 {
		return nil, nil
	}
	list, err := node.Instances(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("look at the instances: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(functions), func(name string) bool {
		return !slices.ContainsFunc(list.Instances, func(i wire.Instance) bool { return i.Function == name })
	}), nil
}

func tellSet(w io.Writer, s setValue) {
	switch {
	case s.unchanged:
		fmt.Fprintf(w, "%s revision %d  unchanged: it has this value already\n", s.name, s.revision)
	case len(s.functions) == 0 && len(s.hooks) > 0:
		fmt.Fprintf(w, "%s revision %d  set; hook %s takes it from now on\n", s.name, s.revision, strings.Join(s.hooks, ", "))
	case len(s.functions) == 0:
		fmt.Fprintf(w, "%s revision %d  set; no function takes it\n", s.name, s.revision)
	case len(s.running) == 0:
		fmt.Fprintf(w, "%s revision %d  set; the next instances of %s have it\n", s.name, s.revision, strings.Join(s.functions, ", "))
	default:
		fmt.Fprintf(w, "%s revision %d  set; the instances of %s are replaced\n", s.name, s.revision, strings.Join(s.running, ", "))
	}
}

// secretValue reads a value from a file, a terminal or a pipe.
func secretValue(c *cobra.Command, name, file string) ([]byte, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read the value of secret %s: %w", name, err).WithHint("check --file")
		}
		defer f.Close()
		return readSecret(f, name)
	}
	if in, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		fmt.Fprintf(c.ErrOrStderr(), "value of %s (it is not shown): ", name)
		value, err := readHidden(c.Context(), int(in.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		if err != nil {
			return nil, fmt.Errorf("read the value of secret %s: %w", name, err)
		}
		return value, nil
	}
	value, err := readSecret(c.InOrStdin(), name)
	if err != nil {
		return nil, err
	}
	line, _ := bytes.CutSuffix(value, []byte("\n"))
	line, _ = bytes.CutSuffix(line, []byte("\r"))
	return line, nil
}

// readHidden reads a line from a terminal that does not show it. When ctx ends, the terminal shows again what is typed.
func readHidden(ctx context.Context, fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() { // nothing but a line, or the end of the process, ends it
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		return l.text, l.err
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}

func readSecret(r io.Reader, name string) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	switch {
	case err != nil:
		return nil, fault.New(fault.Invalid, "read the value of secret %s: %w", name, err).WithHint("give it on stdin, or with --file FILE")
	case len(value) > maxSecret:
		return nil, fault.New(fault.TooLarge, "the value of secret %s is larger than a secret may be", name).WithHint("at most 64 KiB")
	}
	return value, nil
}

func secretList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List secrets: name, revision, age, who takes them; never values", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Secrets(c.Context())
			if err != nil {
				return err
			}
			list.Secrets = ofEnvironment(env, list.Secrets, func(s *wire.Secret) string { return s.Name })
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				var rows []row
				for _, s := range list.Secrets {
					rows = append(rows, secretRow(s, time.Now()))
				}
				table(w, []string{"SECRET", "REVISION", "AGE", "FUNCTIONS"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

func secretRow(s wire.Secret, now time.Time) row {
	r := cells(s.Name, strconv.Itoa(s.Revision), age(s.Changed, now), takers(s.Functions))
	if len(s.Hooks) > 0 {
		r.notes = append(r.notes, "taken by hook "+strings.Join(s.Hooks, ", "))
	}
	if !s.Readable {
		r.notes = append(r.notes, "this node cannot read it: it is encrypted for "+s.Key)
	}
	return r
}

// age is how long ago something was: to the second, or the day where it is many hours.
func age(at, now time.Time) string {
	const day = 24 * time.Hour
	if d := now.Sub(at); d >= 2*day {
		return fmt.Sprintf("%dd", d/day)
	}
	return now.Sub(at).Round(time.Second).String()
}

func takers(functions []string) string {
	if len(functions) == 0 {
		return "-"
	}
	return strings.Join(functions, ", ")
}

// removeValue is the command that takes a secret or a configuration value away.
func removeValue(env *environment, what string) *cobra.Command {
	long := map[string]string{"secret": "a secret", "config": "a configuration value"}[what]
	var yes bool
	c := &cobra.Command{
		Use: "rm NAME [--yes]", Short: "Take " + long + " away, where no function takes it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if !yes {
				there := secretThere
				if what == "config" {
					there = configThere
				}
				if err := there(c.Context(), node, args[0]); err != nil {
					return err
				}
				if err := confirm(c, "remove "+strings.TrimPrefix(long, "a ")+" "+args[0]); err != nil {
					return err
				}
			}
			remove := node.RemoveSecret
			if what == "config" {
				remove = node.RemoveConfig
			}
			if err := remove(c.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "removed %s\n", args[0])
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	return c
}
