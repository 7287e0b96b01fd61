package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/config"
)

// configMistake is a config.Problem as it is printed.
type configMistake struct {
	Where   string `json:"where"` // file:line:column, or the environment variable
	Setting string `json:"setting,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Warning bool   `json:"warning"`
}

func configCheck(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "check [FILE]", Short: "Look for mistakes in the configuration of a node", Args: cobra.MaximumNArgs(1),
		Long: `Look for mistakes in the configuration of a node, before the node is started with it or reads it again: in a file for dalamb up --config, and in
the environment variables of settings, such as DALAMB_LIMITS_EVENT. All mistakes are told, each with its line and column: dalamb up refuses the same. Files that
are named are looked at as the user who asks: whether they can be read, whether a certificate and its key are a pair; listeners' addresses are tried, and a
sandbox of the runner is. Warnings tell of what a node starts without: a file that it needs later, a secret that is open to everybody, a variable DALAMB_...
that nobody reads. No node is asked, and nothing is changed.

Exit codes: 0 a node can start with it, perhaps with warnings, 1 it failed, 2 there are mistakes.`,
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			source := config.Source{Environment: env.get, Names: env.names()}
			if len(args) == 1 {
				source.File = args[0]
			}
			found, err := config.Check(source)
			if err != nil {
				return err
			}
			app.Fit(found, env.get)
			if err := app.Try(c.Context(), found, env.get); err != nil {
				return err
			}
			list := []configMistake{}
			for _, p := range found.Mistakes {
				list = append(list, configMistake{p.Where, p.Key, p.What, p.Hint, false})
			}
			for _, p := range found.Warnings {
				list = append(list, configMistake{p.Where, p.Key, p.What, p.Hint, true})
			}
			err = out.print(c.OutOrStdout(), list, func(w io.Writer) { tellMistakes(w, found) })
			if err == nil && len(found.Mistakes) > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "dalamb: the configuration has %s\n", count(int64(len(found.Mistakes)), "mistake"))
				return exitCode(exitInvalid)
			}
			return err
		},
	}
	out.flag(c)
	return c
}

func tellMistakes(w io.Writer, found *config.Finding) {
	for _, p := range found.Mistakes {
		fmt.Fprintf(w, "%s\n", p)
		if p.Hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", p.Hint)
		}
	}
	for _, p := range found.Warnings {
		fmt.Fprintf(w, "warning: %s\n  hint: %s\n", p, p.Hint)
	}
	if len(found.Mistakes) > 0 {
		return
	}
	var said []string
	for _, s := range config.Settings() {
		if !s.Same(found.Node, config.Default()) {
			said = append(said, s.Key)
		}
	}
	if said == nil {
		fmt.Fprintln(w, "ok: all settings are the default")
		return
	}
	fmt.Fprintf(w, "ok: %s other than the default: %s\n", count(int64(len(said)), "setting"), strings.Join(said, ", "))
}
