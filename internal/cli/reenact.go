package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/incident"
)

// reenactment is up --bundle: a node on which an incident happens again.
type reenactment struct {
	env       *environment
	file      string
	secrets   []string
	exit      bool
	noNetwork bool
	patience  time.Duration
	out       output
}

func (r *reenactment) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.file, "bundle", "", "make the incident in this `FILE` happen again, on a fresh data directory")
	f.StringArrayVar(&r.secrets, "secret", nil, "with --bundle: `NAME=FILE`, a secret that its functions take, the file as it is; may be repeated")
	f.BoolVar(&r.exit, "exit", false, "with --bundle: end when the report is there, by 1 where something came out differently")
	f.BoolVar(&r.noNetwork, "no-network", false, "with --bundle: functions reach no network, whatever their manifests say")
	f.DurationVar(&r.patience, "patience", 5*time.Minute, "with --bundle: how long the events may take")
	r.out.flag(c)
}

// asked says whether there is a bundle; what belongs to one alone is refused without it.
func (r *reenactment) asked(c *cobra.Command) (bool, error) {
	if r.file != "" {
		_, err := r.out.json()
		if r.patience <= 0 {
			err = usageError{c.CommandPath(), fmt.Errorf("--patience %s: it has to be more than nothing", r.patience)}
		}
		return true, err
	}
	for _, name := range []string{"secret", "exit", "no-network", "patience", "output"} {
		if c.Flags().Changed(name) {
			return false, usageError{c.CommandPath(), fmt.Errorf("--%s is for --bundle", name)}
		}
	}
	return false, nil
}

func (r *reenactment) run(c *cobra.Command, found *config.Finding) (err error) {
	node := found.Node
	if node.EventLog.Kafka != nil {
		return fault.New(fault.Invalid, "--bundle has a log of its own, and none on Kafka").WithHint("leave --log and DALAMB_LOG out")
	}
	b, err := bundle.Open(r.file)
	if err != nil {
		return err
	}
	defer b.Close()
	secrets, err := r.values()
	if err != nil {
		return err
	}
	if missing := incident.MissingSecrets(b, secrets); len(missing) > 0 {
		return fault.New(fault.Invalid, "the functions take %s, and no bundle has secrets", strings.Join(missing, ", ")).
			WithHint("give each, or a stand-in: --secret %s=FILE", missing[0])
	}
	alone(c, node)
	remove, err := r.fresh(c, node)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	ctx, stop := follow(c, true)
	defer stop()
	asJSON, _ := r.out.json() // asked has looked
	stdout := c.OutOrStdout()
	if asJSON {
		c.SetOut(c.ErrOrStderr()) // what the node says of itself is no part of the report
	}
	var outcome *incident.Outcome
	var failed error
	done := make(chan struct{})
	begin := func(n *app.Node) {
		go func() {
			defer close(done)
			if outcome, failed = r.again(ctx, n, b, secrets, node.Data); failed == nil {
				failed = r.out.print(stdout, outcome, func(w io.Writer) { printOutcome(w, outcome) })
			}
			if failed == nil && !r.exit && !asJSON {
				fmt.Fprintf(stdout, "\nthe node stays up: DALAMB_DATA=%s dalamb explain ID; Ctrl-C ends it\n", node.Data)
			}
			if failed != nil || r.exit {
				stop()
			}
		}()
	}
	begun := false
	err = serveNode(ctx, c, r.env, found, func() (*config.Finding, error) { return found, nil }, func(n *app.Node) { begun = true; begin(n) })
	stop()
	if begun {
		<-done
	}
	switch {
	case err != nil:
		return err
	case failed != nil && c.Context().Err() == nil && !errors.Is(failed, context.Canceled): // whoever stopped reading has ended it
		return failed
	case r.exit && (failed != nil || outcome == nil):
		return fault.New(fault.Unavailable, "there is no report: the node was ended before everything was over") // an outcome in the making differs in nothing yet
	case r.exit && !outcome.Same():
		return exitCode(exitFailed)
	}
	return nil
}

func (r *reenactment) again(ctx context.Context, n *app.Node, b *bundle.Opened, secrets map[string][]byte, data string) (*incident.Outcome, error) {
	at := r.env.at(data)
	node, err := at.client()
	if err != nil {
		return nil, err
	}
	info := n.Info()
	way, err := at.transport(info.Name)
	if err != nil {
		return nil, err
	}
	once := &http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return incident.Run(ctx, incident.Options{
		Bundle: b, Node: node, Append: n.Append, Gateway: info.Gateway, HTTP: once, Dir: data, Push: pushPacked(b, node), Secrets: secrets, NoNetwork: r.noNetwork, Patience: r.patience,
	})
}

// pushPacked sends an image of the bundle to the node's registry, as deploy sends one that stands beside a manifest.
func pushPacked(b *bundle.Opened, node *client.Client) func(ctx context.Context, function, digest string) (string, error) {
	return func(ctx context.Context, function, digest string) (string, error) {
		f, err := pull.Held{From: "the image " + short(digest, 19) + " of the bundle", Manifest: digest, Open: b.Blob}.File()
		if err != nil {
			return "", err
		}
		control, token := node.Address()
		f.Transport = node.Transport()
		return f.Push(ctx, control, token, pull.Sent+function)
	}
}

// values reads the files of secrets.
func (r *reenactment) values() (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, one := range r.secrets {
		name, file, ok := strings.Cut(one, "=")
		if !ok || name == "" || file == "" {
			return nil, fault.New(fault.Invalid, "--secret %s is no NAME=FILE", fault.Clip(name)).WithHint("the value itself is in the file: --secret password=password.txt")
		}
		value, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--secret %s: %w", name, err)
		}
		all[name] = value
	}
	return all, nil
}

// alone takes from a node what the file and the variables of another one may say of where things go: what happens again is no line, checkpoint, metric or
// trace of that one's, and orders no certificate of its domains. What a flag of this command says stays.
func alone(c *cobra.Command, node *config.Node) {
	node.Logs.Ship = nil
	node.Callbacks.Allow = nil
	if !c.Flags().Changed("otlp") {
		node.OTLP.Endpoint = ""
	}
	if !c.Flags().Changed("audit") {
		node.Audit.Checkpoints = ""
	}
	if !c.Flags().Changed("acme-domain") {
		node.TLS.ACME.Domains = nil
	}
	if !node.TLS.On() { // both take a listener that speaks it
		node.TLS.Redirect, node.TLS.Clients = "", ""
	}
}

// fresh gives the node an empty data directory, and ports that are free where none are named. What it made for this once, remove removes.
func (r *reenactment) fresh(c *cobra.Command, node *config.Node) (remove func() error, err error) {
	for flag, at := range map[string]*string{"gateway": &node.Gateway, "control": &node.Control} {
		if !c.Flags().Changed(flag) {
			*at = "127.0.0.1:0"
		}
	}
	if !c.Flags().Changed("data") {
		dir, err := os.MkdirTemp("", "dalamb-bundle-*")
		if err != nil {
			return nil, fault.New(fault.Unavailable, "make a data directory: %w", err).WithHint("name one: --data DIR")
		}
		node.Data = dir
		return func() error { return os.RemoveAll(dir) }, nil
	}
	there, err := os.ReadDir(node.Data)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Invalid, "--data %s: %w", node.Data, err)
	}
	if len(there) > 0 {
		return nil, fault.New(fault.Invalid, "--data %s is not empty, and an incident happens again on a fresh directory alone", node.Data).
			WithHint("name another, or leave it out: then it is a temporary one")
	}
	if node.Data, err = filepath.Abs(node.Data); err != nil {
		return nil, err
	}
	return func() error { return nil }, nil
}

func printOutcome(w io.Writer, o *incident.Outcome) {
	fmt.Fprintf(w, "\nbundle    %s, which began at %s\n", clean(o.Bundle), o.Began.Local().Format("2006-01-02 15:04:05.000"))
	for _, f := range o.Functions {
		from := ""
		if f.Origin != nil && f.Origin.Commit != "" {
			from = "  commit " + short(clean(f.Origin.Commit), 12)
		}
		fmt.Fprintf(w, "deployed  %s, version %d there, %d here%s\n", f.Function, f.Was, f.Version, from)
	}
	for _, s := range o.Sent {
		if s.Why != "" {
			fmt.Fprintf(w, "not sent  %s  id %s: %s\n", clean(s.Name), clean(s.ID), clean(s.Why))
			continue
		}
		fmt.Fprintf(w, "sent      %s  id %s\n", clean(s.Name), clean(s.Here))
	}
	for _, text := range o.Missing {
		fmt.Fprintf(w, "missing   %s\n", clean(text))
	}
	for _, text := range o.Notes {
		fmt.Fprintf(w, "note      %s\n", clean(text))
	}
	printVerdicts(w, &o.Report)
	for _, d := range o.Report.Differences {
		printDifference(w, &d)
	}
	if o.Same() {
		fmt.Fprintln(w, "everything came out as it was recorded")
	}
}
