package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/starter"
)

// begun is what init wrote, in JSON.
type begun struct {
	Function  string   `json:"function"`
	Directory string   `json:"directory"`
	Files     []string `json:"files"`
	Test      string   `json:"test"` // the command that tests it
}

func initCommand() *cobra.Command {
	var out output
	var language, entry string
	c := &cobra.Command{
		Use:   "init [NAME] --lang LANGUAGE",
		Short: "Write a function to begin with",
		Long: `Write a function to begin with, which works as it is: code, a test, a manifest and a README, in a new directory NAME. NAME may be a
path, whose last part is the function's name; without it the files go into the current directory, and the function has that one's name.
No file that is there is written over.

With --entry stdio and lambda the function answers an event, with http a request; it is the first that the language has where it is not said:

` + starterTable(),
		Example: `  dalamb init hello --lang python
  dalamb deploy hello`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			s, err := starter.Find(language, function.EntryType(entry))
			if err != nil {
				return err
			}
			b := begun{Directory: ".", Test: s.Test}
			if len(args) == 1 {
				b.Directory = filepath.Clean(args[0])
			}
			if b.Function, err = nameFor(b.Directory, args); err != nil {
				return err
			}
			files, err := s.Files(b.Function)
			if err != nil {
				return err
			}
			if b.Files, err = starter.Write(b.Directory, files); err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), b, func(w io.Writer) { printBegun(w, &b) })
		},
	}
	c.Flags().StringVar(&language, "lang", "", "the language: "+strings.Join(starter.Languages(), ", "))
	c.Flags().StringVar(&entry, "entry", "", "how it is spoken to: lambda, http or stdio (default: the language's first)")
	c.MarkFlagRequired("lang")
	c.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(starter.Languages(), cobra.ShellCompDirectiveNoFileComp))
	c.RegisterFlagCompletionFunc("entry", func(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return entriesOf(language), cobra.ShellCompDirectiveNoFileComp
	})
	out.flag(c)
	return c
}

// nameFor is the name of a function in a directory.
func nameFor(dir string, args []string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", fault.New(fault.Unavailable, "the current directory cannot be told: %w", err).WithHint("go to one that is there")
	}
	name := filepath.Base(at)
	err = function.CheckName(name)
	if err != nil && len(args) == 0 {
		return "", fault.New(fault.Invalid, "the current directory is called %q, which is no name for a function", fault.Clip(name)).
			WithHint("name one: dalamb init NAME makes a directory for it")
	}
	return name, err
}

func entriesOf(language string) []string {
	var entries []string
	for _, s := range starter.All() {
		if s.Language == language {
			entries = append(entries, string(s.Entry))
		}
	}
	return entries
}

// starterTable is the languages with their entries, for the help.
func starterTable() string {
	var b strings.Builder
	for _, language := range starter.Languages() {
		fmt.Fprintf(&b, "  %-8s %s\n", language, strings.Join(entriesOf(language), ", "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func printBegun(w io.Writer, b *begun) {
	fmt.Fprintf(w, "wrote %s into %s: %s\n\n", b.Function, b.Directory, strings.Join(b.Files, ", "))
	for _, line := range []string{"cd " + b.Directory, b.Test, "dalamb deploy ."} {
		if line != "cd ." {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	fmt.Fprintf(w, "\n%s says what comes then.\n", filepath.Join(b.Directory, "README.md"))
}
