package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/backup"
)

func restoreCommand(env *environment) *cobra.Command {
	var data string
	var from place
	c := &cobra.Command{
		Use: "restore [BACKUP] --from PLACE --data DIR", Short: "Make a data directory of a backup", Args: cobra.MaximumNArgs(1),
		Long: `Make a data directory of a backup: of the newest, or of the one that is named. A place is a directory, or s3://BUCKET/PREFIX as for backup. No node is asked, and none runs on the new directory before
dalamb up. Every file is held against its digest; where one is not as it was stored, no data directory comes to be.

The restored node goes on where the backup was taken: runs that were under way then are tried again, and what was emitted later is not there.
See to it that the node which the backup is of does not run on, or both do the same work. docs/backup.md.`,
		RunE: func(c *cobra.Command, args []string) error {
			id := ""
			if len(args) == 1 {
				id = args[0]
			}
			m, err := backup.Restore(c.Context(), from.of(env), id, data)
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "backup %s: %s, %s, in %s\n", m.ID, count(int64(len(m.Files)), "file"), bytesText(m.Size()), data)
			if m.Key {
				fmt.Fprintf(w, "the key of secrets is in it: %s/secret.key, where a node looks unless secrets.key names another place\n", data)
			} else {
				fmt.Fprintf(w, "the key of secrets is not in it: where there are secrets, put secret.key into %s, for its owner alone, before the start\n", data)
			}
			if !m.Log {
				fmt.Fprintln(w, "the event log is not in it: start the node with the --log that it had")
			}
			fmt.Fprintf(w, "start it: dalamb up --data %s\n", data)
			return nil
		},
	}
	f := c.Flags()
	from.flags(f, "from", "the place of backups")
	f.StringVar(&data, "data", "", "the data directory to make; it must be empty or not there")
	for _, name := range []string{"from", "data"} {
		_ = c.MarkFlagRequired(name) // they are there
	}
	return c
}
