package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/audit"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func auditCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "audit", Short: "Say what was signed of the log; verify it, and prove what was in it", Args: cobra.NoArgs,
		Long: `Say what was signed of the log. A node that was started with --audit PLACE hashes every record into a Merkle tree of its partition, signs what the
trees have become every minute, and brings that to PLACE, a file or a git repository, which is to lie where who can change the data directory cannot change it.

  dalamb audit verify --checkpoints PLACE --key PUBLIC     finds what was changed in the log, and where
  dalamb audit prove EVENT-ID > proof.json                 proves that an event is in what was signed
  dalamb audit prove --from 7 --to 99 > proof.json         proves that what was signed has only grown
  dalamb audit check proof.json --key PUBLIC               checks either without a node

See docs/audit.md.`,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := env.audit(c)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), a, func(w io.Writer) { printAudit(w, &a) })
		},
	}
	out.flag(c)
	c.AddCommand(auditKey(env), auditVerify(env), auditProve(env), auditCheck())
	return c
}

// audit asks the node for its audit, which must be on.
func (e *environment) audit(c *cobra.Command) (wire.Audit, error) {
	node, err := e.client()
	if err != nil {
		return wire.Audit{}, err
	}
	a, err := node.Audit(c.Context())
	if err == nil && !a.On {
		err = fault.New(fault.Unavailable, "this node signs nothing of its log").WithHint("start it with --audit FILE, or audit.checkpoints; docs/audit.md")
	}
	return a, err
}

func printAudit(w io.Writer, a *wire.Audit) {
	if a.Checkpoint == 0 {
		fmt.Fprintln(w, "checkpoint  none yet")
	} else {
		fmt.Fprintf(w, "checkpoint  %d, signed %s\n", a.Checkpoint, zoned(a.Time))
	}
	fmt.Fprintf(w, "covers      %s of %s\n", count(a.Records, "record"), count(int64(a.Trees), "partition"))
	if len(a.Except) > 0 {
		fmt.Fprintf(w, "left out    %s\n", strings.Join(a.Except, ", "))
	}
	fmt.Fprintf(w, "outside     %s\n", clean(a.Outside))
	switch {
	case a.Missing > 0 && a.OutsideTrouble != "":
		fmt.Fprintf(w, "            the last %s not there yet: %s\n", are(a.Missing, "checkpoint"), clean(a.OutsideTrouble))
	case a.OutsideTrouble != "":
		fmt.Fprintf(w, "            it is not known what is there: %s\n", clean(a.OutsideTrouble))
	case a.Missing > 0:
		fmt.Fprintf(w, "            the last %s on the way\n", are(a.Missing, "checkpoint"))
	}
	if a.Key != "" {
		fmt.Fprintf(w, "key         %s\n", a.Key)
	}
	for _, what := range a.Behind {
		fmt.Fprintf(w, "behind      %s\n", clean(what))
	}
	if a.Trouble != "" {
		fmt.Fprintf(w, "it stands still, and signs nothing: %s\n", clean(a.Trouble))
	}
}

// are is what is said of n things before what they are: 1 checkpoint is, 2 checkpoints are.
func are(n int64, what string) string {
	verb := " are"
	if n == 1 {
		verb = " is"
	}
	return count(n, what) + verb
}

// zoned is a time as others read it, elsewhere and later.
func zoned(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func auditKey(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "Print the public key that checkpoints are checked with", Args: cobra.NoArgs,
		Long: `Print the public key that checkpoints are checked with. Keep it where who can change the data directory cannot change it, beside the file of checkpoints.`,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := env.audit(c)
			if err != nil {
				return err
			}
			if a.Key == "" {
				return fault.New(fault.Unavailable, "the node has no key yet").WithHint("ask again in a moment")
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), a.Key)
			return err
		},
	}
}

func auditProve(env *environment) *cobra.Command {
	var topic string
	var from, to int64
	c := &cobra.Command{
		Use: "prove {ID|TOPIC/PARTITION@OFFSET | --from N --to M} [--topic T]", Short: "Print a proof that an event is in what was signed, or that what was signed has only grown", Args: cobra.MaximumNArgs(1),
		Long: `Print a proof, in JSON, that an event is in what the node has signed. Where it is in no checkpoint yet, one is signed. The proof has the event in it, and
dalamb audit check needs nothing else but the public key. Of an event that retention has taken the proof has the hash alone.

ID is that of the event or of a run of it; it is looked for as by dalamb explain.

With --from N --to M it is a proof that what checkpoint N has signed is in what checkpoint M has signed, unchanged and in its place: nothing that was there was
changed, taken away or moved in between. It has hashes and no events. --topic leaves the others out.`,
		RunE: func(c *cobra.Command, args []string) error {
			growth := c.Flags().Changed("from") || c.Flags().Changed("to")
			switch {
			case growth && len(args) > 0:
				return usageError{c.CommandPath(), errors.New("an event is proved by its id, and growth by --from and --to: not both")}
			case growth && (from < 1 || to <= from):
				return usageError{c.CommandPath(), fmt.Errorf("--from %d --to %d: name two numbers of checkpoints, the earlier one first", from, to)}
			case !growth && len(args) == 0:
				return usageError{c.CommandPath(), errors.New("name an event, or two checkpoints by --from and --to")}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			var p any
			if growth {
				p, err = node.ProveGrowth(c.Context(), from, to, topic)
			} else {
				p, err = node.Prove(c.Context(), args[0], topic)
			}
			if err != nil {
				return err
			}
			text, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				return fmt.Errorf("encode a proof: %w", err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", text)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&topic, "topic", "", "look in this topic alone")
	f.Int64Var(&from, "from", 0, "the `number` of the earlier checkpoint")
	f.Int64Var(&to, "to", 0, "the `number` of the later one")
	return c
}

// checked is what a proof proves, as it is printed.
type checked struct {
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	Offset     int64  `json:"offset"`
	Checkpoint int64  `json:"checkpoint"`
	Signed     string `json:"signed"`
	Key        string `json:"key"`
	Record     bool   `json:"record"` // the proof has it
	Event      bool   `json:"event"`  // --event was given, and it is that
}

func auditCheck() *cobra.Command {
	var out output
	var key, event string
	c := &cobra.Command{
		Use: "check PROOF --key PUBLIC [--event FILE]", Short: "Check a proof, without a node, and say what it proves", Args: cobra.ExactArgs(1),
		Long: `Check a proof, without a node, and say what it proves. PROOF is a file, or - for stdin. PUBLIC is what dalamb audit key printed, or a file with that; have
it from whom you trust, and not from who gave you the proof.

--event compares the proof with an event that you have: a CloudEvent in JSON, or a line of dalamb events -o json.

Exit codes: 0 the proof holds, 1 it does not, 2 the input is wrong.`,
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			verifier, err := publicKey(key)
			if err != nil {
				return err
			}
			text, err := fileOrInput(c, args[0])
			if err != nil {
				return err
			}
			p, growth, err := audit.ReadProof(text)
			if err != nil {
				return err
			}
			if growth != nil {
				return checkGrowth(c, &out, growth, verifier, event)
			}
			proved, err := audit.Check(p, verifier)
			if err != nil {
				return err
			}
			if event != "" {
				text, err := fileOrInput(c, event)
				if err != nil {
					return err
				}
				if err := audit.CheckEvent(p, text); err != nil {
					return err
				}
			}
			done := checked{p.Topic, p.Partition, p.Offset, proved.Checkpoint, zoned(proved.Time), proved.Key, p.Record != nil, event != ""}
			return out.print(c.OutOrStdout(), done, func(w io.Writer) { printChecked(w, &done) })
		},
	}
	c.Flags().StringVar(&key, "key", "", "the public key, or a file with it")
	c.Flags().StringVar(&event, "event", "", "compare with the event in this file")
	_ = c.MarkFlagRequired("key") // it is there
	out.flag(c)
	return c
}

func printChecked(w io.Writer, d *checked) {
	fmt.Fprintf(w, "the proof holds: when checkpoint %d was signed, %s by the clock of who signed,\n", d.Checkpoint, d.Signed)
	what := "this event"
	switch {
	case d.Event:
	case d.Record:
		what = "the record in the proof"
	default: // its place is in what the hash is of, and that is not there
		fmt.Fprintf(w, "a record with the hash in the proof was in %s/%d of a log whose node has the key %s; --event shows which, and where it stood\n", clean(d.Topic), d.Partition, d.Key)
		return
	}
	fmt.Fprintf(w, "%s stood at %s/%d@%d of a log whose node has the key %s\n", what, clean(d.Topic), d.Partition, d.Offset, d.Key)
}

// publicKey reads a public key that is given as itself or as a file.
func publicKey(given string) (note.Verifier, error) {
	text, unread := os.ReadFile(given)
	if unread == nil {
		given = string(text)
	}
	key, err := audit.ParseKey(given)
	if err != nil && unread != nil && given != "" {
		return nil, fault.New(fault.Invalid, "--key: %q is no public key of checkpoints, and no file that can be read: %w", fault.Clip(given), errors.Unwrap(unread)).
			WithHint("give what dalamb audit key prints, NAME+HASH+KEY, or the name of a file with that")
	}
	return key, err
}

// fileOrInput reads a file, or standard input for "-".
func fileOrInput(c *cobra.Command, name string) ([]byte, error) {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(c.InOrStdin())
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err).WithHint("name a file that this user can read, or - for stdin")
	}
	return text, nil
}
