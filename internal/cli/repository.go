package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/wire"
)

func repositoryCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "repository",
		Short: "List and remove git repositories that were pushed to the node",
		Long: `List and remove git repositories that were pushed to the node. The first push to /git/NAME on the control listener makes one:

  git push http://localhost:8081/git/shop main`,
	}
	c.AddCommand(repositoryListCommand(env), repositoryRemoveCommand(env))
	return c
}

func repositoryListCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "ls",
		Short: "List repositories with their branches and their size on the node's disk",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return inquiry[wire.RepositoryList]{
				func(node *client.Client) (wire.RepositoryList, error) { return node.Repositories(c.Context()) },
				func(w io.Writer, list *wire.RepositoryList) {
					if len(list.Repositories) == 0 {
						fmt.Fprintln(c.ErrOrStderr(), "no repositories; the first push to /git/NAME on the control listener makes one")
						return
					}
					var rows []row
					for _, r := range list.Repositories {
						rows = append(rows, cells(r.Name, bytesText(r.Bytes), short(orDash(strings.Join(r.Branches, ", ")), 80)))
					}
					table(w, []string{"REPOSITORY", "ON DISK", "BRANCHES"}, rows)
				},
			}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

func repositoryRemoveCommand(env *environment) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a repository; what was delivered from it stays",
		Long: `Remove a repository with all its branches and tags from the node. The functions that were delivered from it, and their versions, stay as
they are. Another push makes the repository again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Repositories(c.Context())
			if err != nil {
				return err
			}
			there := slices.ContainsFunc(list.Repositories, func(r wire.Repository) bool { return r.Name == args[0] })
			if !yes && there { // of one that is not there, the node says so
				if err := confirm(c, "remove the repository "+args[0]); err != nil {
					return err
				}
			}
			if err := node.RemoveRepository(c.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "removed the repository %s\n", args[0])
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}
