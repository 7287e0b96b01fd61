package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dalamb/dalamb/internal/fault"
)

// usageError is a mistake on the command line itself.
type usageError struct {
	command string
	err     error // where it has no hint, the command's help is one
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// wrongArguments says in plain words what a check of arguments found.
func wrongArguments(c *cobra.Command, args []string, err error) error {
	if _, ours := errors.AsType[*fault.Error](err); ours {
		return usageError{c.CommandPath(), err}
	}
	_, takes, _ := strings.Cut(c.Use, " ")
	if c.HasSubCommands() && takes == "" {
		unknown := fault.New(fault.Invalid, "unknown command %q for %q", fault.Clip(args[0]), c.CommandPath())
		var known []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				known = append(known, sub.Name())
			}
		}
		if near := fault.Nearest(args[0], known); len(near) > 0 {
			unknown = unknown.WithHint("did you mean %s %s?", c.CommandPath(), strings.Join(near, " or "))
		}
		return usageError{c.CommandPath(), unknown}
	}
	if takes == "" {
		takes = "no arguments"
	}
	given := "none was given"
	if len(args) > 0 {
		given = count(int64(len(args)), "argument") + " given"
	}
	return usageError{c.CommandPath(), fmt.Errorf("%s takes %s; %s", below(c), takes, given)}
}

// wrongFlag says in plain words what the reading of flags found.
func wrongFlag(c *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		wants := map[string]string{
			"int": "a whole number", "int32": "a whole number", "int64": "a whole number", "uint": "a whole number from 0",
			"float64": "a number", "duration": "a duration such as 30s or 5m", "bool": "true or false",
		}[invalid.GetFlag().Value.Type()]
		if wants != "" {
			err = fmt.Errorf("--%s wants %s, and %q is none", invalid.GetFlag().Name, wants, fault.Clip(invalid.GetValue()))
		}
	}
	if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		err = fmt.Errorf("--%s wants a value", bare.GetFlag().Name)
	}
	if missing, ok := errors.AsType[*pflag.NotExistError](err); ok && missing.GetSpecifiedShortnames() != "" {
		err = fmt.Errorf("unknown flag: -%s", missing.GetSpecifiedName())
	} else if ok {
		var known []string
		c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := fault.Nearest(missing.GetSpecifiedName(), known); len(near) > 0 {
			err = fault.New(fault.Invalid, "%w", err).WithHint("did you mean --%s?", strings.Join(near, " or --"))
		}
	}
	return usageError{c.CommandPath(), err}
}

// missingFlags says which flags have to be there and are not.
func missingFlags(c *cobra.Command) error {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 && !f.Changed {
			names = append(names, "--"+f.Name)
		}
	})
	if names == nil {
		return nil
	}
	return fmt.Errorf("%s wants %s too", below(c), strings.Join(names, " and "))
}

// clashingFlags says in plain words which flags exclude each other.
func clashingFlags(c *cobra.Command) error {
	err := c.ValidateFlagGroups()
	if err == nil {
		return nil
	}
	given := map[string][]string{} // by group
	c.Flags().Visit(func(f *pflag.Flag) {
		for _, group := range f.Annotations["cobra_annotation_mutually_exclusive"] { // cobra, MarkFlagsMutuallyExclusive
			if given[group] = append(given[group], "--"+f.Name); len(given[group]) == 2 {
				err = fmt.Errorf("%s exclude each other", strings.Join(given[group], " and "))
			}
		}
	})
	return err
}

// below is a command's path without the program's name, with which the line begins.
func below(c *cobra.Command) string { return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ") }
