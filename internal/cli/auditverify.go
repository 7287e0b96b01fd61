package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/audit"
	"github.com/dalamb/dalamb/internal/audit/repository"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func auditVerify(env *environment) *cobra.Command {
	var out output
	var data, topic, checkpoints, key, log string
	var where outsideAccess
	c := &cobra.Command{
		Use: "verify [--checkpoints PLACE] [--key PUBLIC] [--topic T]", Short: "Compare the whole log with what was signed of it, and say what was changed, and where", Args: cobra.NoArgs,
		Long: `Compare the whole log with what was signed of it, and say what was changed, and where: records that are not what they were, that are missing or were added,
an end that was cut off, kept hashes and checkpoints that are damaged.

The command runs on the machine of the node, as a user who may read its data directory: DALAMB_DATA, ./dalamb-data, or --data. The node may run; it takes
no part but to hold still for a moment, and what the command reads are the files of its log. Where no node runs, the directory may be a copy, or be mounted to be
read: nothing in it is changed. For a log on Kafka name that by --log.

Without --checkpoints the log is compared with the checkpoints that are in it, and without --key these with the key in the data directory: who has changed all of
that is not found. Give both, from where they were kept.

Exit codes: 0 everything is as it was signed, 1 something is not, or the log cannot be read just now, which is told as an error and not as a finding; 2 the input is wrong.`,
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
			if o.Verify.Outside, err = where.read(c.Context(), checkpoints, o.Verify.Key); err != nil {
				return err
			}
		}
		if data == "" {
			data = env.dir()
		}
		var report *wire.AuditReport
		err = env.still(c.Context(), data, app.AtRest, func(ctx context.Context, at wire.Checkpoint) error {
			o.Still = at
			report, err = app.VerifyAudit(ctx, o)
			return err
		})
		if err != nil {
			return err
		}
		if err := out.print(c.OutOrStdout(), report, func(w io.Writer) { printReport(w, report, checkpoints, key != "") }); err != nil {
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
	f.StringVar(&checkpoints, "checkpoints", "", "the file that checkpoints were added to, or a copy of it; the git repository that they were pushed to, or a clone of it")
	f.StringVar(&where.access, "access", "", "a `file` with what opens that repository, as for audit.access")
	f.StringVar(&where.knownHosts, "known-hosts", "", "a `file` with whom to believe by ssh, as for audit.known-hosts")
	f.StringVar(&key, "key", "", "the public key, or a file with it")
	f.StringVar(&log, "log", "", "the log of a node whose log is on Kafka, as the node is given it")
	out.flag(c)
	return c
}

// outsideAccess is what opens the repository that checkpoints were pushed to.
type outsideAccess struct{ access, knownHosts string }

// read gives the checkpoints of a place: a repository, a clone of one, or a file.
func (o *outsideAccess) read(ctx context.Context, place string, key note.Verifier) (text []byte, err error) {
	name := ""
	if key != nil {
		name = key.Name()
	}
	if strings.HasPrefix(place, repository.Prefix) {
		dir, err := os.MkdirTemp("", "dalamb-audit-")
		if err != nil {
			return nil, fmt.Errorf("make room for a repository: %w", err)
		}
		defer os.RemoveAll(dir)
		git, _ := exec.LookPath("git") // that it is not there is told
		r, err := repository.New(repository.Options{URL: place, Dir: dir, Git: git, Access: o.access, KnownHosts: o.knownHosts})
		if err != nil {
			return nil, err
		}
		return r.Read(ctx, name)
	}
	if info, err := os.Stat(place); err == nil && info.IsDir() {
		return repository.ReadClone(place, name)
	}
	if text, err = os.ReadFile(place); err != nil {
		return nil, fault.New(fault.Invalid, "read the checkpoints: %w", err).WithHint("name the file or the repository that the node was given by --audit, or a copy of it")
	}
	return text, nil
}

// lastOf says how far the checkpoints outside reach: what only the log says could have been signed anew.
func lastOf(r *wire.AuditReport) string {
	switch {
	case r.OutsideLast == 0:
		return "so all are the log's own"
	case r.OutsideLast < r.Last:
		return fmt.Sprintf("up to number %d; those behind it, up to %d, are only in the log", r.OutsideLast, r.Last)
	}
	return fmt.Sprintf("up to number %d, the last", r.OutsideLast)
}

// printReport prints a report for people. checkpoints is where those outside came from, "" = from nowhere; key is that one was given.
func printReport(w io.Writer, r *wire.AuditReport, checkpoints string, key bool) {
	for i := range r.Findings {
		f := &r.Findings[i]
		place := ""
		switch {
		case f.File != "":
			place = clean(f.File) + ": "
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
	if checkpoints != "" {
		fmt.Fprintf(w, "%s of these came from %s, %s\n", count(r.Outside, "checkpoint"), clean(checkpoints), lastOf(r))
	}
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
	if checkpoints == "" || !key {
		fmt.Fprintln(w, "compared with what is in the data directory itself; give --checkpoints and --key from elsewhere to find what was changed together with it")
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "everything is as it was signed")
	}
}
