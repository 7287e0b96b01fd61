package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/backup"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func backupCommand(env *environment) *cobra.Command {
	var out output
	var data string
	var to place
	var withKey bool
	var keep int
	c := &cobra.Command{
		Use: "backup --to PLACE [--keep N]", Short: "Copy a node's data to a directory or a bucket, while it runs or not", Args: cobra.NoArgs,
		Long: `Copy a node's data to a directory or a bucket, while it runs or not. The copy is as the node was at one moment: everything that was acknowledged
before the command began is in it. What a backup at the same place has already is not copied again, and yet each can be restored by itself.

A place is a directory, or s3://BUCKET/PREFIX at Amazon S3 or, with --endpoint, any store that speaks S3. Keys for it are found as AWS's own tools find
them, and are no arguments: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, a file that --credentials names, or the role of the machine.

The command runs on the machine of the node, as a user who may read its data directory: DALAMB_DATA, ./dalamb-data, or --data.

The key of secrets is left out unless --with-key is given: who has it and the rest can read all secrets. The control token is in the backup,
so a directory is made for its owner alone, and a bucket has to be as private. Of a node whose log is on Kafka it has what is beside the log. docs/backup.md.`,
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if _, err := out.json(); err != nil {
			return err
		}
		if c.Flags().Changed("keep") && keep < 1 {
			return usageError{c.CommandPath(), fmt.Errorf("--keep %d: at least one backup is kept", keep)}
		}
		if data == "" {
			data = env.dir()
		}
		at := to.of(env)
		if !at.InBucket() {
			if err := apart(at.Name, data); err != nil {
				return err
			}
		}
		done := backupDone{Removed: []string{}}
		err := env.still(c.Context(), data, app.Checkpoint, func(ctx context.Context, made wire.Checkpoint) error {
			o := backup.Options{To: at, Data: made.Data, Log: made.Log, Version: buildInfo().Version}
			if withKey {
				o.Key = made.Key
			}
			if withKey && made.Key == "" {
				fmt.Fprintln(c.ErrOrStderr(), "warning: there is no key of secrets yet, or it is where a node that does not run was told; the backup is without")
			}
			taken, err := backup.Take(ctx, o)
			done.backupLine, done.New = lineOf(taken.Manifest), taken.New
			if taken.Damaged != nil {
				fmt.Fprintf(c.ErrOrStderr(), "warning: every file was read anew, since %v\nhint: %s\n", taken.Damaged, fault.HintOf(taken.Damaged))
			}
			return err
		})
		if err != nil {
			return err
		}
		if keep > 0 {
			removed, err := backup.Keep(c.Context(), at, keep)
			if err != nil {
				return fmt.Errorf("backup %s is there; remove older ones: %w", done.ID, err)
			}
			done.Removed = append(done.Removed, removed...)
		}
		return out.print(c.OutOrStdout(), done, func(w io.Writer) {
			fmt.Fprintf(w, "backup %s: %s, %s, of which %s are new in %s\n", done.ID, count(int64(done.Files), "file"), bytesText(done.Bytes), bytesText(done.New), at.Name)
			for _, id := range done.Removed {
				fmt.Fprintf(w, "removed %s\n", id)
			}
			if !done.Log {
				fmt.Fprintln(w, "the event log is on Kafka, and not in it")
			}
		})
	}
	f := c.Flags()
	f.StringVar(&data, "data", "", "the node's data directory (default: DALAMB_DATA, else ./dalamb-data)")
	to.flags(f, "to", "the place of backups; made when it is not there")
	f.BoolVar(&withKey, "with-key", false, "with the key of secrets")
	f.IntVar(&keep, "keep", 0, "then remove all but the newest `N`")
	_ = c.MarkFlagRequired("to") // it is there
	out.flag(c)
	c.AddCommand(backupList(env), backupVerify(env))
	return c
}

// stopped makes ready a data directory that no node runs on.
type stopped func(ctx context.Context, data string) (made wire.Checkpoint, release func() error, err error)

// still calls use while the data directory holds still: by its node, or by the lock that a node would have.
func (e *environment) still(ctx context.Context, data string, ready stopped, use func(context.Context, wire.Checkpoint) error) error {
	if _, err := os.Stat(filepath.Join(data, app.NodeFile)); err != nil {
		return ready.still(ctx, data, use)
	}
	node, err := e.at(data).client()
	if err != nil { // a copy may have the file of the node that it was copied from, and not its token
		if again := ready.still(ctx, data, use); fault.KindOf(again) != fault.Conflict {
			return again
		}
		return err
	}
	used, elsewhere := false, false
	err = node.Checkpoint(ctx, func(ctx context.Context, made wire.Checkpoint) error {
		if elsewhere = !sameDirectory(made.Data, data); elsewhere {
			return nil
		}
		used = true
		return use(ctx, made)
	})
	if elsewhere || !used && fault.KindOf(err) == fault.Unavailable {
		// A node that was killed leaves its file behind, and a copy of a data directory has the file of the node that it was copied from. Where one runs
		// here, the lock says so.
		if again := ready.still(ctx, data, use); elsewhere || fault.KindOf(again) != fault.Conflict {
			return again
		}
	}
	return err
}

// sameDirectory says whether two paths lead to one directory. One that cannot be looked at is another.
func sameDirectory(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func (s stopped) still(ctx context.Context, data string, use func(context.Context, wire.Checkpoint) error) (err error) {
	made, release, err := s(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return use(ctx, made)
}

// apart refuses a directory of backups in the data directory: each backup would have all those before it.
func apart(to, data string) error {
	a, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	b, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(b, a); err == nil && filepath.IsLocal(rel) {
		return fault.New(fault.Invalid, "%s is in the data directory %s", to, data).WithHint("name a directory elsewhere, best on another disk")
	}
	return nil
}

// backupLine is a backup as it is listed.
type backupLine struct {
	ID      string    `json:"id"`
	Taken   time.Time `json:"taken"`
	Version string    `json:"version"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"` // as in the data directory
	Log     bool      `json:"log"`
	Key     bool      `json:"key"`
}

type backupDone struct {
	backupLine
	New     int64    `json:"new"` // bytes added
	Removed []string `json:"removed"`
}

func lineOf(m backup.Manifest) backupLine {
	return backupLine{ID: m.ID, Taken: m.Taken, Version: m.Version, Files: len(m.Files), Bytes: m.Size(), Log: m.Log, Key: m.Key}
}

func backupList(env *environment) *cobra.Command {
	var out output
	var to place
	c := &cobra.Command{
		Use: "ls --to PLACE", Short: "List the backups at a place", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := backup.List(c.Context(), to.of(env))
			if err != nil {
				return err
			}
			lines := []backupLine{}
			for _, m := range all {
				lines = append(lines, lineOf(m))
			}
			return out.print(c.OutOrStdout(), lines, func(w io.Writer) {
				var rows []row
				for _, l := range lines {
					rows = append(rows, cells(l.ID, age(l.Taken, time.Now()), l.Version, strconv.Itoa(l.Files), bytesText(l.Bytes), yesNo(l.Log), yesNo(l.Key)))
				}
				table(w, []string{"BACKUP", "AGE", "VERSION", "FILES", "SIZE", "LOG", "KEY"}, rows)
			})
		},
	}
	to.flags(c.Flags(), "to", "the place of backups")
	_ = c.MarkFlagRequired("to") // it is there
	out.flag(c)
	return c
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func backupVerify(env *environment) *cobra.Command {
	var to place
	c := &cobra.Command{
		Use: "verify [BACKUP] --to PLACE", Short: "Read whole backups and say what in them is not as it was stored", Args: cobra.MaximumNArgs(1),
		Long: `Read one backup, or all at a place, and say what in them is not as it was stored.

Exit codes: 0 everything is as it was stored, 1 something is not, 2 the input is wrong.`,
		RunE: func(c *cobra.Command, args []string) error {
			id := ""
			if len(args) == 1 {
				id = args[0]
			}
			n, bad, err := backup.Verify(c.Context(), to.of(env), id)
			if err != nil {
				return err
			}
			for _, d := range bad {
				what := ""
				if d.Path != "" {
					what = " " + d.Path + ":"
				}
				fmt.Fprintf(c.OutOrStdout(), "%s:%s %v\n", d.ID, what, d.Err)
			}
			if len(bad) > 0 {
				return fault.New(fault.Conflict, "not all of %s in %s is as it was stored", count(int64(n), "backup"), to.name).
					WithHint("look after the disk or the store; take another backup to another place")
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: everything is as it was stored\n", count(int64(n), "backup"))
			return nil
		},
	}
	to.flags(c.Flags(), "to", "the place of backups")
	_ = c.MarkFlagRequired("to") // it is there
	return c
}
