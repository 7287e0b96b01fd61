package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func tokenCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "token", Short: "Make and end tokens, each with a role, and access keys for AWS's tools", Args: cobra.NoArgs,
		Long: `Make and end tokens, with which others than who has the node's own token may do something. What that is says the role of each:

  sender    send events to the gateway (POST /_/events), and nothing else; a topic's writers and quota name such tokens
  viewer    look at everything but the values of secrets, and change nothing
  deployer  that, and deploy, build, push, set secrets, shift aliases and call functions
  operator  that of a viewer, and pause, seek, replay, redrive, discard, purge, shift aliases and call functions
  admin     everything

What a deployer and an operator may change can be bounded to functions by their names. docs/access.md says it all.

With --aws make and end access keys, with which AWS's tools (aws, boto3, its SDKs) do what AWS's Lambda API and EventBridge's have here.
docs/aws.md says how they are pointed at a node.`,
	}
	c.AddCommand(tokenList(env), tokenCreate(env), tokenRemove(env))
	return c
}

func tokenList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List tokens and access keys: who may what, and until when", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Tokens(c.Context())
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) { printTokens(w, &list) })
		},
	}
	out.flag(c)
	return c
}

func printTokens(w io.Writer, list *wire.TokenList) {
	var rows []row
	add := func(t wire.TokenInfo) *row {
		functions := "all"
		switch {
		case len(t.Functions) > 0:
			functions = strings.Join(t.Functions, ", ")
		case t.Environment != "":
			functions = t.Environment + ".*"
		case t.Role == "sender":
			functions = "-"
		}
		expires := "never"
		if t.Expired {
			expires = "expired"
		} else if !t.Expires.IsZero() {
			expires = t.Expires.UTC().Format(time.RFC3339)
		}
		created := "-"
		if !t.Created.IsZero() {
			created = stamp(t.Created)
		}
		rows = append(rows, cells(t.Name, t.Role, functions, expires, created))
		r := &rows[len(rows)-1]
		if t.Environment != "" {
			r.notes = append(r.notes, "sees environment "+t.Environment+" alone")
		}
		return r
	}
	for _, t := range list.Tokens {
		add(t)
	}
	for _, key := range list.AccessKeys {
		r := add(key.TokenInfo)
		r.notes = append(r.notes, "access key "+key.ID)
	}
	if rows != nil {
		table(w, []string{"NAME", "ROLE", "FUNCTIONS", "EXPIRES", "CREATED"}, rows)
	}
}

func tokenCreate(env *environment) *cobra.Command {
	var out output
	var asked wire.TokenCreate
	var ttl, expires string
	c := &cobra.Command{
		Use: "create NAME", Short: "Make a token or an access key and print it, once", Args: cobra.ExactArgs(1),
		Long: `Make a token and print it, once: without --role one that sends events. dalamb token -h says what each role may.

With --env the token is for that environment alone: whatever its role, it sees and changes nothing else. docs/tenants.md says what that is.

With --aws make an access key, and print the environment by which AWS's tools find the node and sign what they ask of it. Without --role it may all that
AWS's Lambda API has here. With --env it is for that environment alone, too.`,
		Example: `  dalamb token create till
  dalamb token create ci --role deployer --functions 'shop-*,staging.*' --ttl 24h
  dalamb --env acme token create acme-ci --role deployer
  export $(dalamb token create ci-aws --aws)`,
		RunE: func(c *cobra.Command, args []string) error {
			asked.Name, asked.Environment = args[0], env.env
			if env.env != "" {
				for i, glob := range asked.Functions {
					full, err := env.full(glob)
					if err != nil {
						return usageError{c.CommandPath(), err}
					}
					asked.Functions[i] = full
				}
			}
			if c.Flags().Changed("functions") && len(asked.Functions) == 0 {
				return usageError{c.CommandPath(), errors.New("--functions: it names none; name functions, such as shop-*, or leave it out, for all")}
			}
			if ttl != "" {
				if err := asked.TTL.UnmarshalText([]byte(ttl)); err != nil || asked.TTL <= 0 {
					return usageError{c.CommandPath(), fmt.Errorf("--ttl: %q is not how long the token is good for, such as 24h or 30d", ttl)}
				}
			}
			if expires != "" {
				var err error
				if asked.Expires, err = time.Parse(time.RFC3339, expires); err != nil {
					return usageError{c.CommandPath(), fmt.Errorf("--expires: %q is not a time, such as 2030-01-31T12:00:00Z", expires)}
				}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			made, err := node.CreateToken(c.Context(), asked)
			if err != nil {
				return err
			}
			url, _ := node.Address()
			return out.print(c.OutOrStdout(), made, func(w io.Writer) {
				if asked.AWS {
					printAccessKey(w, made, url)
					return
				}
				fmt.Fprintln(w, made.Token)
			})
		},
	}
	c.Flags().BoolVar(&asked.AWS, "aws", false, "an access key for AWS's tools")
	c.Flags().StringVar(&asked.Role, "role", "", "what it may: sender, viewer, deployer, operator or admin (sender by default; of an access key admin)")
	c.Flags().StringSliceVar(&asked.Functions, "functions", nil, "of a deployer and an operator: for which functions, by their whole names ([ENVIRONMENT.]NAME), with * for any part but a dot; all by default")
	c.Flags().StringVar(&ttl, "ttl", "", "how long it is good for, such as 24h or 30d; for ever by default")
	c.Flags().StringVar(&expires, "expires", "", "until when it is good, such as 2030-01-31T12:00:00Z")
	c.MarkFlagsMutuallyExclusive("ttl", "expires")
	out.flag(c)
	return c
}

// printAccessKey writes what AWS's tools read of their environment. AWS SDKs and Tools reference guide, "Environment variables support".
func printAccessKey(w io.Writer, made wire.Token, url string) {
	fmt.Fprintf(w, "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n", made.AccessKeyID, made.SecretAccessKey)
	fmt.Fprintf(w, "AWS_ENDPOINT_URL_LAMBDA=%s\nAWS_ENDPOINT_URL_EVENTBRIDGE=%s\nAWS_REGION=%s\nAWS_DEFAULT_REGION=%s\n", url, url, function.AWSRegion, function.AWSRegion)
}

func tokenRemove(env *environment) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "remove NAME [--yes]", Short: "End a token or an access key", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if !yes {
				if err := tokenThere(c.Context(), node, args[0]); err != nil {
					return err
				}
				if err := confirm(c, "remove token "+args[0]); err != nil {
					return err
				}
			}
			if err := node.RemoveToken(c.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "removed %s\n", args[0])
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	return c
}

// ruleFlags are the flags for a topic's rules.
type ruleFlags struct {
	writers  []string
	dedupe   string
	maxEvent string
	events   float64
	bytes    string
	seal     bool
}

func (f *ruleFlags) flags(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.writers, "writers", nil, "who alone may write: function/NAME, token/NAME (the node's own is token/node), or any")
	c.Flags().StringVar(&f.dedupe, "dedupe", "", "ingest: the same source and id within so long is one event, such as 10m, at most 7d; 0s = off (embedded log)")
	c.Flags().StringVar(&f.maxEvent, "max-event", "", "size of one event at most, such as 64Ki; 0 = the node's bound")
	c.Flags().Float64Var(&f.events, "quota-events", 0, "ingest: events a second of each token, on each node; 0 = no bound")
	c.Flags().BoolVar(&f.seal, "seal", false, "store the data of events encrypted, by a key for each event key that dalamb forget takes away; cannot be undone")
	c.Flags().StringVar(&f.bytes, "quota-bytes", "", "ingest: bytes a second of each token, on each node, such as 1Mi; 0 = no bound")
}

// change is what the flags that were given say; nil when there were none.
func (f *ruleFlags) change(c *cobra.Command) (*function.TopicRulesChange, error) {
	given := func(name string) bool { return c.Flags().Changed(name) }
	out := new(function.TopicRulesChange)
	if given("writers") {
		writers := f.writers
		if len(writers) == 1 && writers[0] == "any" {
			writers = []string{}
		}
		out.Writers = &writers
	}
	if given("dedupe") {
		out.Dedupe = new(function.Duration)
		if err := out.Dedupe.UnmarshalText([]byte(f.dedupe)); err != nil {
			return nil, usageError{c.CommandPath(), fmt.Errorf("--dedupe: %w", err)}
		}
	}
	for _, b := range []struct {
		name, text string
		into       **function.Bytes
	}{{"max-event", f.maxEvent, &out.MaxEvent}, {"quota-bytes", f.bytes, &out.Bytes}} {
		if !given(b.name) {
			continue
		}
		*b.into = new(function.Bytes)
		if err := (*b.into).UnmarshalText([]byte(b.text)); err != nil {
			return nil, usageError{c.CommandPath(), fmt.Errorf("--%s: %w", b.name, err)}
		}
	}
	if given("seal") {
		out.Seal = &f.seal
	}
	if given("quota-events") {
		out.Events = &f.events
	}
	if *out == (function.TopicRulesChange{}) {
		return nil, nil
	}
	return out, nil
}

// rulesOf are the notes below a topic in a table.
func rulesOf(t wire.Topic) []string {
	var notes []string
	r := t.Rules
	if len(r.Writers) > 0 {
		notes = append(notes, "written by "+strings.Join(r.Writers, ", ")+" alone")
	}
	if r.Seal {
		notes = append(notes, "sealed: dalamb forget makes the events of a key unreadable")
	}
	if r.MaxEvent > 0 {
		notes = append(notes, "an event has at most "+r.MaxEvent.String()+" bytes")
	}
	if r.Dedupe > 0 {
		notes = append(notes, "ingest: the same source and id within "+r.Dedupe.String()+" is one event")
	}
	if r.Events > 0 {
		notes = append(notes, fmt.Sprintf("ingest: %v events a second of each token", r.Events))
	}
	if r.Bytes > 0 {
		notes = append(notes, "ingest: "+r.Bytes.String()+" bytes a second of each token")
	}
	return notes
}
