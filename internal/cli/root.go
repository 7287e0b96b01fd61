// Package cli is the command line: one file per command, flags in, text or JSON out, a fault becomes an exit code and a hint.
// It does no work of its own: up wires a node through app, the other commands ask a node through client.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
)

// Streams are the process's standard streams.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, args []string, s Streams) int {
	root := Root(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var written *fs.PathError // of a file, where connections have errors of their own
	if errors.As(err, &written) && errors.Is(written.Err, syscall.EPIPE) {
		return exitReaderGone
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	complain(s.Err, err)
	return codeOf(err)
}

// exitCode ends the command with a code when everything that there is to say has been said.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func complain(w io.Writer, err error) {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	fmt.Fprintln(w, "dalamb:", lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintln(w, line)
	}
	var u usageError
	switch hint := fault.HintOf(err); {
	case hint != "":
		fmt.Fprintln(w, "hint:", hint)
	case errors.As(err, &u):
		fmt.Fprintf(w, "hint: %s --help tells its arguments\n", u.command)
	}
}

// Root is the whole tree of commands, for Main and for the reference page.
func Root(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "dalamb",
		Short: "Run functions when events happen",
		Long: `dalamb runs functions, in any language, when events happen. One machine, one binary, nothing else to install.

  dalamb up                        start a node
  dalamb deploy DIR                make a version of each function in DIR/dalamb.yaml
  dalamb emit --type T --data D    put an event into the log
  dalamb runs                      what came of it

A command finds the node by its data directory: DALAMB_DATA, or ./dalamb-data. DALAMB_CONTROL (the URL of the control listener)
and DALAMB_TOKEN are stronger. DALAMB_CA, or --ca, names the authority of a node that speaks TLS.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.SetFlagErrorFunc(wrongFlag)
	root.Version = buildInfo().line()
	root.SetVersionTemplate("{{.Version}}\n")

	env := &environment{get: os.Getenv, all: os.Environ, err: s.Err}
	for _, c := range []*cobra.Command{
		upCommand(env), initCommand(),
		rolloutCommand(env),
		deployCommand(env), buildCommand(env), functionsCommand(env), versionsCommand(env), diffCommand(env), aliasCommand(env), shiftCommand(env), rollbackCommand(env), scaleCommand(env),
		auditCommand(env), backupCommand(env), restoreCommand(env), psCommand(env), nodeCommand(env), healthCommand(env), servicesCommand(env), upstreamsCommand(env), alertCommand(env), usageCommand(env), watchCommand(env), imagesCommand(env), repositoryCommand(env), hookCommand(env), removeCommand(env), invokeCommand(env), triggerCommand(env), keyCommand(env), cacheCommand(env), scheduleCommand(env), seekCommand(env), replayCommand(env),
		emitCommand(env), delayedCommand(env), eventsCommand(env), topicCommand(env), copyCommand(env), forgetCommand(env), tokenCommand(env), whoamiCommand(env), tlsCommand(env), secretCommand(env), configCommand(env), envCommand(env), exportCommand(env), applyCommand(env),
		topCommand(env), runsCommand(env), explainCommand(env), traceCommand(env), bisectCommand(env), historyCommand(env), dlqCommand(env), logsCommand(env), openapiCommand(env), mockCommand(env),
		patternCommand(env), doctorCommand(env), versionCommand(),
	} {
		root.AddCommand(c)
	}
	env.namesEnvironments(root)
	env.namesAuthorities(root)
	nameUsage(root)
	tellExitCodes(root)
	return root
}

// tellExitCodes ends the help of every command with its exit codes, where the command has none of its own.
func tellExitCodes(c *cobra.Command) {
	if c.Long == "" {
		c.Long = c.Short + "."
	}
	if !strings.Contains(c.Long, "Exit codes:") {
		c.Long += "\n\n" + exitHelp
	}
	for _, sub := range c.Commands() {
		tellExitCodes(sub)
	}
}

// nameUsage makes every complaint about arguments and flags a usageError, so that it ends with exit code 2 and names the help.
func nameUsage(c *cobra.Command) {
	if !c.Runnable() { // a group: cobra would print its help for a wrong name, and succeed
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	check := c.Args
	if check == nil && c.HasSubCommands() {
		check = cobra.NoArgs
	}
	if check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return wrongArguments(c, args, err)
			}
			return nil
		}
	}
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if err := errors.Join(missingFlags(c), clashingFlags(c)); err != nil {
			return usageError{c.CommandPath(), err}
		}
		return nil
	}
	for _, sub := range c.Commands() {
		nameUsage(sub)
	}
}
