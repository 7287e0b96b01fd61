package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what `dalamb version` tells.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// buildInfo reads what the Go linker knows of this binary.
func buildInfo() build {
	b := build{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value
		}
	}
	return b
}

func (b build) line() string {
	commit := ""
	if b.Commit != "" {
		commit = fmt.Sprintf(" (%.12s)", b.Commit)
	}
	return fmt.Sprintf("dalamb %s%s %s %s/%s", b.Version, commit, b.Go, b.OS, b.Arch)
}

func versionCommand() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b := buildInfo()
			return out.print(c.OutOrStdout(), b, func(w io.Writer) {
				fmt.Fprintln(w, b.line())
			})
		},
	}
	out.flag(c)
	return c
}
