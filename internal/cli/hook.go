package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func hookCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "hook",
		Short: "Deliver from GitHub, GitLab, Bitbucket, Gitea or Forgejo: a push there is live here",
		Long: `Deliver from another git server. It tells of a push by a request to /_/hooks/PROVIDER/NAME on the gateway, which it signs with a secret; the
node fetches exactly that commit, delivers it as a push to the node itself, and tells the server what came of it.

  openssl rand -hex 32 > hook-secret                       also goes into the webhook's settings there
  dalamb secret set shop-hook < hook-secret
  dalamb secret set shop-token                             opens the repository, and may set statuses of commits
  dalamb hook set shop --provider github --url https://github.com/acme/shop --secret shop-hook --token shop-token
  dalamb hook test shop

A hook of a registry of images needs no settings but a token of its name: dalamb token create NAME. See docs/webhooks.md.`,
	}
	c.AddCommand(hookSetCommand(env), hookListCommand(env), hookShowCommand(env), hookTestCommand(env), hookRemoveCommand(env))
	return c
}

func hookSetCommand(env *environment) *cobra.Command {
	var out output
	var h function.Hook
	var knownHosts string
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Make a hook, or put another in its place",
		Long: `Make a hook of a repository on another git server, or put another in the place of the one that is there. Secrets are named, never given:
dalamb secret set NAME sets their values. Where a token needs a user name, its value is USER:TOKEN.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h.Name = args[0]
			if knownHosts != "" {
				text, err := os.ReadFile(knownHosts)
				if err != nil {
					return fault.New(fault.Invalid, "read the known hosts: %w", err).WithHint("ssh-keyscan HOST > known_hosts makes such a file")
				}
				h.KnownHosts = string(text)
			}
			if err := h.Validate(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			made, err := node.SetHook(c.Context(), h)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), made, func(w io.Writer) {
				if made.Unchanged {
					fmt.Fprintf(w, "%s  unchanged: it is so already\n", made.Name)
					return
				}
				fmt.Fprintf(w, "%s  set; let %s send pushes to %s on the gateway, as application/json, with the value of secret %s\n", made.Name, made.Place(), made.Path, made.Secret)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&h.Provider, "provider", "", "who tells of pushes: "+strings.Join(function.HookProviders(), ", ")+" (Forgejo is gitea)")
	f.StringVar(&h.URL, "url", "", "of the repository: https://HOST/PATH, or ssh://git@HOST/PATH")
	f.StringVar(&h.Secret, "secret", "", "name of the secret that the provider signs with")
	f.StringVar(&h.Token, "token", "", "name of the secret that opens the repository by https, and the provider's API")
	f.StringVar(&h.DeployKey, "deploy-key", "", "name of the secret that opens the repository by ssh: a private key")
	f.StringVar(&knownHosts, "known-hosts", "", "file with the host keys of the server, for ssh")
	f.StringVar(&h.API, "api", "", "base URL of the provider's API, where it is not where the provider has it")
	f.BoolVar(&h.NoStatus, "no-status", false, "do not tell the provider what came of a commit")
	for _, name := range []string{"provider", "url", "secret"} {
		_ = c.MarkFlagRequired(name) // they are there
	}
	out.flag(c)
	return c
}

func hookListCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "ls",
		Short: "List hooks of git servers",
		Long:  `List hooks of git servers. REFUSED counts the requests that did not show who sent them, since the node started.`,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return inquiry[[]wire.Hook]{
				func(node *client.Client) ([]wire.Hook, error) { return node.Hooks(c.Context()) },
				func(w io.Writer, list *[]wire.Hook) {
					if len(*list) == 0 {
						fmt.Fprintln(c.ErrOrStderr(), "no hooks; dalamb hook set makes one")
						return
					}
					var rows []row
					for _, h := range *list {
						rows = append(rows, cells(h.Name, h.Provider, h.URL, h.Path, fmt.Sprint(h.Refused.Requests)))
					}
					table(w, []string{"HOOK", "PROVIDER", "REPOSITORY", "PATH", "REFUSED"}, rows)
				},
			}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

func hookShowCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a hook, what it was told last, and what came of it",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return inquiry[wire.HookDetail]{
				func(node *client.Client) (wire.HookDetail, error) { return node.Hook(c.Context(), args[0]) },
				func(w io.Writer, h *wire.HookDetail) {
					for _, l := range [][2]string{
						{"provider", h.Provider}, {"repository", h.URL}, {"path", h.Path}, {"secret", h.Secret}, {"token", h.Token}, {"deploy key", h.DeployKey}, {"API", h.API},
					} {
						if l[1] != "" {
							fmt.Fprintf(w, "%-10s  %s\n", l[0], l[1])
						}
					}
					if n := h.Refused.Requests; n > 0 {
						fmt.Fprintf(w, "%-10s  %s since the node started, the last %s ago: %s\n", "refused", count(n, "request"), age(h.Refused.Last, time.Now()), h.Refused.Why)
					}
					fmt.Fprintln(w)
					if len(h.Deliveries) == 0 {
						fmt.Fprintln(w, "it was told nothing yet")
						return
					}
					var rows []row
					for i := range h.Deliveries {
						rows = append(rows, deliveryRow(&h.Deliveries[i], time.Now()))
					}
					table(w, []string{"AGE", "REF", "COMMIT", "BY", "STATE"}, rows)
				},
			}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

func deliveryRow(d *function.HookFinished, now time.Time) row {
	ref := strings.TrimPrefix(d.Ref, "refs/heads/")
	if tag, ok := strings.CutPrefix(d.Ref, "refs/tags/"); ok {
		ref = "tag " + tag
	}
	commit := "deleted"
	if d.After != "" {
		commit = d.After[:min(12, len(d.After))]
	}
	r := cells(age(d.Received, now), short(clean(ref), 40), commit, short(clean(orDash(d.Pusher)), 20), d.State)
	lines := append([]string(nil), d.Said...)
	if d.Error != "" {
		lines = append(strings.Split(d.Error, "\n"), lines...)
	}
	if d.Hint != "" {
		lines = append(lines, "hint: "+d.Hint)
	}
	r.notes = lines
	return r
}

func hookTestCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "test NAME",
		Short: "Check what a hook needs: its secret, its repository, the provider's API; nothing is delivered",
		Long: `Check what a hook needs: whether the node has its secret and that is long enough, whether the repository opens and which branches it has, and
whether the provider's API takes the token. Nothing is fetched, delivered or changed, no request is sent to the hook itself, and the provider is told
nothing; whether its requests reach the gateway, dalamb hook show tells when it has sent one.

Exit codes: 0 all is good; 1 something is not; 2 the command line is wrong.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			tested, err := node.TestHook(c.Context(), args[0])
			if err != nil {
				return err
			}
			bad := false
			err = out.print(c.OutOrStdout(), tested, func(w io.Writer) {
				for _, check := range tested.Checks {
					if check.Good {
						fmt.Fprintf(w, "good  %-10s  %s\n", check.What, clean(check.Detail))
						continue
					}
					fmt.Fprintf(w, "bad   %-10s  %s\n", check.What, clean(check.Error))
					if check.Hint != "" {
						fmt.Fprintf(w, "                  %s\n", clean(check.Hint))
					}
				}
			})
			for _, check := range tested.Checks {
				bad = bad || !check.Good
			}
			if err == nil && bad {
				return exitCode(1)
			}
			return err
		},
	}
	out.flag(c)
	return c
}

func hookRemoveCommand(env *environment) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a hook; what was delivered by it stays",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if !yes {
				if err := hookThere(c.Context(), node, args[0]); err != nil {
					return err
				}
				if err := confirm(c, "remove the hook "+args[0]); err != nil {
					return err
				}
			}
			if err := node.RemoveHook(c.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "removed the hook %s\n", args[0])
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}
