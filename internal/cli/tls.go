package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/certificate"
	"github.com/dalamb/dalamb/internal/fault"
)

func tlsCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "tls", Short: "Make certificates for a node and its clients", Args: cobra.NoArgs,
		Long: `Make an authority of your own, and certificates by it: for the listeners of a node, and for clients that prove by one who they are. No node needs
to run. The authority's key (ca.key) can make a certificate for any name: keep it as you keep a password. docs/tls.md.`,
	}
	c.AddCommand(tlsInit(env), tlsClient(env))
	return c
}

// validity is how long a certificate is to hold.
type validity struct{ days int }

func (v *validity) flag(c *cobra.Command) {
	c.Flags().IntVar(&v.days, "days", int(certificate.DefaultTime.Hours()/24), "for how many `DAYS` the certificate holds; browsers take none of a server that holds for more than 398")
}

func (v *validity) duration() (time.Duration, error) {
	if v.days < 1 || v.days > 3650 {
		return 0, fault.New(fault.Invalid, "--days is %d; allowed: 1 to 3650", v.days)
	}
	return time.Duration(v.days) * 24 * time.Hour, nil
}

// authorityFlag says where the authority is.
func (e *environment) authorityFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", "", "`DIRECTORY` of the authority (default: tls in the data directory)")
}

func (e *environment) authority(dir string) (*certificate.Authority, bool, error) {
	if dir == "" {
		dir = filepath.Join(e.dir(), authorityDir)
		if err := app.OpenData(e.dir()); err != nil {
			return nil, false, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, false, fmt.Errorf("find the authority's directory: %w", err)
	}
	return certificate.OpenAuthority(dir, time.Now)
}

// madeCertificate is what the commands print as JSON.
type madeCertificate struct {
	CA    string    `json:"ca"`
	Cert  string    `json:"cert"`
	Key   string    `json:"key"`
	Names []string  `json:"names"`
	Until time.Time `json:"until"`
}

func tlsInit(env *environment) *cobra.Command {
	var out output
	var valid validity
	var dir string
	c := &cobra.Command{
		Use: "init [NAME...]", Short: "Make an authority, and a certificate for a node's listeners",
		Long: `Make an authority, where there is none yet, and a certificate for a node's listeners: for the host names and addresses that are given, and
for localhost, 127.0.0.1, ::1 and this machine's name in any case. Given again it makes a new certificate by the same authority; a node that runs takes it up.`,
		RunE: func(c *cobra.Command, args []string) error {
			d, err := valid.duration()
			if err != nil {
				return err
			}
			authority, fresh, err := env.authority(dir)
			if err != nil {
				return err
			}
			made, err := authority.Server(serverNames(args), d)
			if err != nil {
				return err
			}
			shown := madeCertificate{authority.Path(), made.Cert, made.Key, made.Names, made.Until}
			return out.print(c.OutOrStdout(), shown, func(w io.Writer) {
				kept := "the same as before"
				if fresh {
					kept = "new, until " + authority.Until().Format(time.DateOnly)
				}
				fmt.Fprintf(w, "authority  %s (%s): for who calls, by --ca, DALAMB_CA, curl --cacert\n", authority.Path(), kept)
				fmt.Fprintf(w, "server     %s, until %s\n           for %s\n", made.Cert, made.Until.Format(time.DateOnly), strings.Join(made.Names, ", "))
				fmt.Fprintf(w, "start the node with it: dalamb up --tls-cert %s --tls-key %s\n", made.Cert, made.Key)
			})
		},
	}
	out.flag(c)
	valid.flag(c)
	env.authorityFlag(c, &dir)
	return c
}

// serverNames are the names of a node: those that are given first, since clients that are told one name are told the first.
func serverNames(given []string) []string {
	names := slices.Clone(given)
	own := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && certificate.IsHost(host) {
		own = append(own, strings.ToLower(host))
	}
	for _, name := range own {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func tlsClient(env *environment) *cobra.Command {
	var out output
	var valid validity
	var dir string
	c := &cobra.Command{
		Use: "client NAME", Short: "Make a certificate by which a client proves that it is NAME", Args: cobra.ExactArgs(1),
		Long: `Make a certificate by which a client proves that it is NAME, to routes with auth: {certificate: {}} of nodes that are started with
--tls-client-ca. It cannot be taken back before it ends but with its authority: give it few --days.`,
		RunE: func(c *cobra.Command, args []string) error {
			d, err := valid.duration()
			if err != nil {
				return err
			}
			authority, _, err := env.authority(dir)
			if err != nil {
				return err
			}
			made, err := authority.Client(args[0], d)
			if err != nil {
				return err
			}
			shown := madeCertificate{authority.Path(), made.Cert, made.Key, made.Names, made.Until}
			return out.print(c.OutOrStdout(), shown, func(w io.Writer) {
				fmt.Fprintf(w, "client     %s, its key %s, until %s\n", made.Cert, made.Key, made.Until.Format(time.DateOnly))
				fmt.Fprintf(w, "authority  %s: for the node, by --tls-client-ca\n", authority.Path())
				fmt.Fprintf(w, "call with it: curl --cacert %s --cert %s --key %s https://...\n", authority.Path(), made.Cert, made.Key)
			})
		},
	}
	out.flag(c)
	valid.flag(c)
	env.authorityFlag(c, &dir)
	return c
}
