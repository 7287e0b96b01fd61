package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// envFlag names the environment that a command is about.
const envFlag = "env"

// named says which arguments of a command are names of things in an environment.
type named int

const (
	noNames   named = iota + 1 // none, or ids, which are unique over all environments
	firstName                  // the first is, or begins with, a function's, a secret's or a configuration value's
	allNames                   // all are so
	topics                     // all are topics'
)

// inEnvironments are the commands that know environments, without the first word. The others are about the installation or this machine.
func inEnvironments() map[string]named {
	return map[string]named{
		"functions": firstName, "versions": firstName, "diff": firstName, "alias ls": firstName, "alias rm": firstName, "shift": firstName, "rollback": firstName, "scale": firstName,
		"rollout ls": noNames, "rollout show": firstName, "rollout pause": firstName, "rollout resume": firstName, "rollout abort": firstName, "rollout promote": firstName,
		"deploy": noNames, "remove": firstName, "invoke": firstName, "ps": firstName, "logs": firstName, "build ls": firstName, "build show": firstName, "build log": firstName, "build provenance": firstName,
		"cache purge": firstName, "health": firstName, "openapi": firstName, "mock": noNames, "upstreams": firstName,
		"trigger ls": noNames, "trigger pause": firstName, "trigger resume": firstName, "key ls": firstName, "key pause": firstName, "key resume": firstName,
		"schedule ls": noNames, "seek": firstName, "replay": firstName, "replay ls": noNames, "replay show": noNames, "replay cancel": noNames,
		"emit": noNames, "delayed ls": noNames, "delayed cancel": noNames, "events": noNames, "pattern try": noNames,
		"copy ls": noNames, "copy show": noNames, "copy cancel": noNames, "copy positions": noNames,
		"topic ls": noNames, "topic show": topics, "topic create": topics, "topic alter": topics, "topic delete": topics, "topic copy": topics,
		"secret ls": noNames, "secret set": firstName, "secret rm": firstName, "config ls": noNames, "config set": allNames, "config rm": firstName,
		"bisect": firstName, "runs": noNames, "runs show": noNames, "runs count": noNames, "top": noNames, "audit prove": noNames, "audit verify": noNames, "explain": noNames, "trace": noNames, "history": noNames, "dlq": noNames, "dlq ls": noNames, "dlq show": noNames, "dlq edit": noNames, "dlq redrive": noNames, "dlq discard": noNames,
		"export": noNames, "apply": noNames, "token create": noNames,
	}
}

// lists are the commands that show what an environment has, where no name is given.
func lists() []string {
	return []string{"functions", "ps", "build ls", "rollout ls", "trigger ls", "schedule ls", "replay ls", "topic ls", "copy ls", "delayed ls", "secret ls", "config ls", "runs", "dlq", "dlq ls"}
}

// tellWhereNothingIs says of an environment without anything in it, whose name may be mistyped, which ones there are.
func (e *environment) tellWhereNothingIs(c *cobra.Command) error {
	node, err := e.client()
	if err != nil {
		return err
	}
	list, err := node.Environments(c.Context())
	if err != nil {
		return err
	}
	var known []string
	for _, one := range list {
		if one.Name == e.env {
			return nil
		}
		known = append(known, one.Name)
	}
	there := "there is none yet beside production"
	if known != nil {
		there = "there are: " + names(known)
	}
	if near := fault.Nearest(e.env, known); len(near) > 0 {
		there += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	fmt.Fprintf(c.ErrOrStderr(), "environment %s has no function, secret or configuration value; %s\n", e.env, there)
	return nil
}

// namesEnvironments gives the tree of commands its flag, and those that know environments full names in the place of plain ones.
func (e *environment) namesEnvironments(root *cobra.Command) {
	root.PersistentFlags().StringVar(&e.env, envFlag, "", "the environment that names are of, such as staging (default: DALAMB_ENV, else production)")
	known := inEnvironments()
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		if run := c.RunE; run != nil {
			of := known[path]
			c.RunE = func(c *cobra.Command, args []string) error {
				if of == 0 {
					if c.Flags().Changed(envFlag) {
						return usageError{c.CommandPath(), fmt.Errorf("%s is about no environment, and --%s is given", c.CommandPath(), envFlag)}
					}
					return run(c, args)
				}
				args, err := e.place(c, of, args)
				if err != nil {
					return usageError{c.CommandPath(), err}
				}
				if err := run(c, args); err != nil || e.env == "" || !slices.Contains(lists(), path) || len(args) > 0 {
					return err
				}
				return e.tellWhereNothingIs(c)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub, strings.TrimSpace(path+" "+sub.Name()))
		}
	}
	walk(root, "")
}

// place settles the environment of a command, and gives its arguments, and its flags that name functions and topics, full names.
func (e *environment) place(c *cobra.Command, of named, args []string) (placed []string, err error) {
	if !c.Flags().Changed(envFlag) {
		e.env = e.get("DALAMB_ENV")
	}
	if e.env == "" {
		return args, nil
	}
	if err := function.CheckEnvironment(e.env); err != nil {
		return nil, err
	}
	for i, arg := range args {
		switch {
		case of == topics:
			arg = e.topic(arg)
		case of == allNames, of == firstName && i == 0:
			if arg, err = e.full(arg); err != nil {
				return nil, err
			}
		}
		placed = append(placed, arg)
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		value := f.Value.String()
		if value == "" || err != nil {
			return
		}
		switch f.Name {
		case "function", "trigger":
			if f.Name == "trigger" && !strings.Contains(value, "/") { // the name of triggers, of whatever function
				return
			}
			if value, err = e.full(value); err == nil {
				err = f.Value.Set(value)
			}
		case "topic":
			err = f.Value.Set(e.topic(value))
		}
	})
	return placed, err
}

// into lets the functions of a manifest be those of the environment that the command is about.
func (e *environment) into(m *function.Manifest) {
	for i := range m.Functions {
		spec := &m.Functions[i].Spec
		spec.Name = function.Full(e.env, spec.Name)
	}
}

// full is the full name of what an argument begins with: NAME, NAME/TRIGGER, NAME:ALIAS, NAME=VALUE, NAME:VERSION or NAME@VERSION.
func (e *environment) full(arg string) (string, error) {
	end := strings.IndexAny(arg, "/:=@")
	if end < 0 {
		end = len(arg)
	}
	switch env := function.Environment(arg[:end]); env {
	case "":
		return e.env + "." + arg, nil
	case e.env:
		return arg, nil
	default:
		return "", fault.New(fault.Invalid, "%q is of environment %s, and the command is about %s", fault.Clip(arg), env, e.env).
			WithHint("leave the environment out of the name, or --%s (and DALAMB_ENV) away", envFlag)
	}
}

// topic is the full name of a topic. Those of dalamb itself are of no environment.
func (e *environment) topic(name string) string {
	if function.SystemTopic(name) {
		return name
	}
	return function.Full(e.env, name)
}

// ofEnvironment are those of a list whose names are of the environment that the command is about; all, where it is about none.
func ofEnvironment[T any](e *environment, list []T, name func(*T) string) []T {
	if e.env == "" {
		return list
	}
	own := []T{}
	for i := range list {
		if function.Within(e.env, name(&list[i])) {
			own = append(own, list[i])
		}
	}
	return own
}

func envCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "env", Short: "List and remove environments, and bound what they may have", Args: cobra.NoArgs,
		Long: `List and remove environments, and bound what they may have and do. An environment comes to be with what is first deployed or set in it:

  dalamb --env staging secret set db-password < staging.txt
  dalamb --env staging deploy shop

Its function pay is called staging.pay. See docs/environments.md.`,
	}
	c.AddCommand(envList(env), envQuota(env), envRemove(env))
	return c
}

func envList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List the environments beside production", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Environments(c.Context())
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no environments beside production; dalamb --env NAME deploy DIR makes one")
					return
				}
				var rows []row
				for _, e := range list {
					rows = append(rows, cells(e.Name, strconv.Itoa(e.Functions), strconv.Itoa(e.Triggers), strconv.Itoa(e.Secrets), strconv.Itoa(e.Config), strconv.Itoa(e.Topics), lagText(e.Lag, e.LagPartial)))
				}
				table(w, []string{"ENVIRONMENT", "FUNCTIONS", "TRIGGERS", "SECRETS", "CONFIG", "TOPICS", "LAG"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

func envRemove(env *environment) *cobra.Command {
	var out output
	var yes bool
	c := &cobra.Command{
		Use: "rm NAME [--yes]", Short: "Remove an environment", Args: cobra.ExactArgs(1),
		Long: `Remove an environment: its functions with their versions, triggers and progress, its secrets and its configuration values. What it did
stays in the log. Its topics hold events and stay; dalamb topic delete removes one.`,
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if !yes {
				list, err := node.Environments(c.Context())
				if err != nil {
					return err
				}
				if err := confirmEnvironment(c, list, args[0]); err != nil {
					return err
				}
			}
			gone, err := node.RemoveEnvironment(c.Context(), args[0])
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), gone, func(w io.Writer) { printEnvironmentRemoved(w, &gone) })
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	out.flag(c)
	return c
}

// confirmEnvironment asks, with what would go. A name that is not there is for the node to refuse.
func confirmEnvironment(c *cobra.Command, list []wire.Environment, name string) error {
	for _, e := range list {
		if e.Name == name {
			return confirm(c, fmt.Sprintf("remove environment %s with %s, %s, %s and %s", name,
				count(int64(e.Functions), "function"), count(int64(e.Triggers), "trigger"), count(int64(e.Secrets), "secret"), count(int64(e.Config), "configuration value")))
		}
	}
	return nil
}

func printEnvironmentRemoved(w io.Writer, e *wire.EnvironmentRemoved) {
	for _, part := range []struct {
		word  string
		names []string
	}{{"function", e.Functions}, {"secret", e.Secrets}, {"configuration value", e.Config}} {
		for _, name := range part.names {
			fmt.Fprintf(w, "removed %s %s\n", part.word, name)
		}
	}
	if e.Waiting > 0 {
		fmt.Fprintf(w, "%s that waited: discarded\n", count(e.Waiting, "event"))
	}
	for _, name := range e.Topics {
		fmt.Fprintf(w, "topic %s stays with its events; dalamb topic delete %s removes it\n", name, name)
	}
}
