package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/audit"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func auditVerify(env *environment) *cobra.Command {
	var out output
	var data, topic, checkpoints, key, log string
	c := &cobra.Command{
		Use: "verify [--checkpoints FILE] [--key PUBLIC] [--topic T]", Short: "Compare the whole log with what was signed of it, and say what was changed, and where", Args: cobra.NoArgs,
		Long: `Compare the whole log with what was signed of it, and say what was changed, and where: records that are not what they were, that are missing or were added,
an end that was cut off, kept hashes and checkpoints that are damaged.

The command runs on the machine of the node, as a user who may read its data directory: DALAMB_DATA, ./dalamb-data, or --data. The node may run; it takes
no part but to hold still for a moment, and what the command reads are the files of its log. For a log on Kafka name that by --log.

Without --checkpoints the log is compared with the checkpoints that are in it, and without --key these with the key in the data directory: who has changed all of
that is not found. Give both, from where they were kept.

Exit codes: 0 everything is as it was signed, 1 something is not, 2 the input is wrong.`,
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if _, err := out.json(); err != nil {
			return err
		}
		o := app.AuditOf{Environment: env.get, Verify: audit.VerifyOptions{Topic: topic, From: checkpoints}}
		var err error
		if key != "" {
			if o.Verify.Key, err = publicKey(key); err != nil {
				return err
			}
		}
		if log != "" {
			var l config.EventLog
			if err := l.UnmarshalText([]byte(log)); err != nil {
				return usageError{c.CommandPath(), fmt.Errorf("--log: %w", err)}
			}
			o.Kafka = l.Kafka
		}
		// Before the log is copied: a checkpoint that is signed in between would be missing there.
		if checkpoints != "" {
			if o.Verify.Outside, err = os.ReadFile(checkpoints); err != nil {
				return fault.New(fault.Invalid, "read the checkpoints: %w", err).WithHint("name the file that the node was given by --audit, or a copy of it")
			}
		}
		if data == "" {
			data = env.dir()
		}
		var report *wire.AuditReport
		err = env.still(c.Context(), data, func(ctx context.Context, at wire.Checkpoint) error {
			o.Still = at
			report, err = app.VerifyAudit(ctx, o)
			return err
		})
		if err != nil {
			return err
		}
		if err := out.print(c.OutOrStdout(), report, func(w io.Writer) { printReport(w, report, checkpoints != "", key != "") }); err != nil {
			return err
		}
		if n := int64(len(report.Findings)); n > 0 {
			return fault.New(fault.Conflict, "the log is not as it was signed: %s", count(n, "finding")).WithHint("docs/audit.md says what each means")
		}
		return nil
	}
	f := c.Flags()
	f.StringVar(&data, "data", "", "the node's data directory (default: DALAMB_DATA, else ./dalamb-data)")
	f.StringVar(&topic, "topic", "", "only this topic's records; the checkpoints are all looked at")
	f.StringVar(&checkpoints, "checkpoints", "", "the file that checkpoints were added to, or a copy of it")
	f.StringVar(&key, "key", "", "the public key, or a file with it")
	f.StringVar(&log, "log", "", "the log of a node whose log is on Kafka, as the node is given it")
	out.flag(c)
	return c
}

func printReport(w io.Writer, r *wire.AuditReport, outside, key bool) {
	for i := range r.Findings {
		f := &r.Findings[i]
		place := ""
		switch {
		case f.Topic == "":
		case f.Offset < 0:
			place = fmt.Sprintf("%s/%d: ", clean(f.Topic), f.Partition)
		case f.To > f.Offset:
			place = fmt.Sprintf("%s/%d@%d to %d: ", clean(f.Topic), f.Partition, f.Offset, f.To)
		default:
			place = fmt.Sprintf("%s/%d@%d: ", clean(f.Topic), f.Partition, f.Offset)
		}
		fmt.Fprintf(w, "%s%s\n", place, clean(f.What))
	}
	fmt.Fprintf(w, "%s of %s are compared with %s of the key %s", count(r.Records, "record"), count(int64(r.Trees), "partition"), count(r.Checkpoints, "checkpoint"), r.Key)
	if r.Last > 0 {
		fmt.Fprintf(w, ", the last of %s", zoned(r.Time))
	}
	fmt.Fprintln(w)
	for _, n := range []struct {
		n    int64
		what string
	}{
		{r.Retired, "gone by retention; their hashes are kept"},
		{r.Compacted, "gone by compaction; their hashes are kept"},
		{r.Unsigned, "hashed, and in no checkpoint yet"},
		{r.Unhashed, "not hashed: from before the audit, of topics that it leaves out, or newer than it"},
	} {
		if n.n > 0 {
			fmt.Fprintf(w, "%s %s\n", count(n.n, "record"), n.what)
		}
	}
	if !outside || !key {
		fmt.Fprintln(w, "compared with what is in the data directory itself; give --checkpoints and --key from elsewhere to find what was changed together with it")
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "everything is as it was signed")
	}
}
