package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/audit"
	"github.com/dalamb/dalamb/internal/wire"
)

// checkedGrowth is what a proof of growth proves, as it is printed.
type checkedGrowth struct {
	From       int64    `json:"from"`
	FromSigned string   `json:"fromSigned"`
	First      int64    `json:"first"` // the earliest checkpoint in the proof
	To         int64    `json:"to"`
	ToSigned   string   `json:"toSigned"`
	Records    int64    `json:"records"` // that are as they were
	Partitions int      `json:"partitions"`
	Topics     []string `json:"topics"` // that they are of
	Deleted    []string `json:"deleted,omitempty"`
	Key        string   `json:"key"`
}

func checkGrowth(c *cobra.Command, out *output, p *wire.AuditGrowth, key note.Verifier, event string) error {
	if event != "" {
		return usageError{c.CommandPath(), errors.New("--event is compared with a proof of an event, and this one is of two checkpoints")}
	}
	g, err := audit.CheckGrowth(p, key)
	if err != nil {
		return err
	}
	done := checkedGrowth{g.From, zoned(g.FromAt), g.First, g.To, zoned(g.ToAt), g.Records, g.Trees, append([]string{}, g.Topics...), g.Gone, g.Key}
	return out.print(c.OutOrStdout(), done, func(w io.Writer) {
		fmt.Fprintf(w, "the proof holds: what checkpoint %d, signed %s, had is unchanged in checkpoint %d, signed %s: %s of %s,\nby the clock of who signed, whose key is %s\n",
			done.From, done.FromSigned, done.To, done.ToSigned, count(done.Records, "record"), count(int64(done.Partitions), "partition"), done.Key)
		if done.First > 1 {
			fmt.Fprintf(w, "it has every checkpoint from %d on, and says nothing of what has not grown since that one\n", done.First)
		}
		fmt.Fprintf(w, "topics   %s\n", clean(strings.Join(done.Topics, ", ")))
		if len(done.Deleted) > 0 {
			fmt.Fprintf(w, "deleted  %s\n", clean(strings.Join(done.Deleted, ", ")))
		}
	})
}
