package cli

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func whoamiCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "whoami",
		Short: "Say who the node takes you for, and what you may",
		Long: `Say who the node takes the holder of your token for, his role, the functions that it is for, and when it ends. node is the node's own token, which may do everything.
See docs/access.md.

Exit codes: 0 it is known, 1 the token is not, or the node is not reached.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			self, err := node.Self(c.Context())
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), self, func(w io.Writer) {
				functions, expires := "all", "never"
				switch {
				case len(self.Functions) > 0:
					functions = strings.Join(self.Functions, ", ")
				case self.Environment != "":
					functions = self.Environment + ".*"
				}
				if !self.Expires.IsZero() {
					expires = self.Expires.UTC().Format(time.RFC3339)
				}
				table(w, []string{"NAME", "ROLE", "FUNCTIONS", "EXPIRES"}, []row{cells(self.ID, self.Role, functions, expires)})
			})
		},
	}
	out.flag(c)
	return c
}
