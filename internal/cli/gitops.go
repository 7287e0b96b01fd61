package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/declare"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// exitDiffers is what a dry run ends with when there is something to do.
const exitDiffers exitCode = 3

func exportCommand(env *environment) *cobra.Command {
	var trace traceExport
	c := &cobra.Command{
		Use: "export DIR | --trace ID -o FILE | --event ID -o FILE", Short: "Write the installation as files, for apply and for git; or an incident as one, for up --bundle", Args: cobra.MaximumNArgs(1),
		Long: `Write functions with their code (as their aliases have them), topics and rules, configuration values, names of secrets, hooks and paused triggers as
files into DIR: a new or an empty directory, or one of an earlier export, where installation.yaml, functions/ and environments/ are replaced and all else stays.
Environments are in directories of their own below environments/; with --env one of them is written alone.

Values of secrets, tokens, events, progress and older versions are not in it: that is a back-up's. See docs/gitops.md.

With --trace it writes one incident into a file instead: the events of the tree that ID (of an event, a run, or a W3C trace) belongs to, from its first cause on, their runs
and logs, the versions that ran with their code, the rules that there were then, and configuration values. With --event the file begins at that event. Secrets are not in it,
only their names; bodies of requests and events are. Images are named, and with --with-images packed too. The file is for dalamb up --bundle. See docs/incidents.md.`,
		RunE: func(c *cobra.Command, args []string) error {
			if asked, err := trace.check(c, args); asked || err != nil {
				if err != nil {
					return err
				}
				return trace.write(c, env)
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			state, err := declare.Fetch(c.Context(), node)
			if err != nil {
				return err
			}
			if env.env != "" {
				state = state.Plain(env.env)
			}
			if err := declare.Write(c.Context(), args[0], state, node); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s, %s, %s, names of %s\n", args[0],
				count(int64(len(state.Functions)), "function"), count(int64(len(state.Topics)), "topic"),
				count(int64(len(state.Config)), "configuration value"), count(int64(len(state.Secrets)), "secret"))
			return nil
		},
	}
	trace.flags(c)
	return c
}

func applyCommand(env *environment) *cobra.Command {
	var out output
	var prune, dryRun, noWait, yes bool
	c := &cobra.Command{
		Use: "apply DIR", Short: "Make the installation what the files of a directory declare", Args: cobra.ExactArgs(1),
		Long: `Make the installation what the files in DIR declare, as export writes them. All files are read and checked before anything is changed; what is so
already is left alone, so a second time does nothing. What has to be built is built and images are brought before that, too. All functions are released together, each has its
new version, or none has; apply waits for their roll-outs as deploy does. It stops at the first step that fails; applied again, the rest is done. An environment that has no
directory in DIR stays as it is; with --env DIR declares that environment, and nothing else is looked at.

What is there and not declared stays, and is told. With --prune functions, aliases, hooks and configuration values are removed then, and triggers that are paused go on; topics hold
events and secrets cannot be had back, so they stay in any case. Before it removes something, apply asks; --yes answers.

Exit codes: 0 done, or nothing to do; 1 it failed; 2 the files are wrong, and nothing was changed; 3 with --dry-run: there is something to do.`,
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			want, envs, err := declaredIn(args[0], env.env)
			if err != nil {
				return err
			}
			if err := programsOf(want); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			plan, have, err := planFor(c.Context(), node, planned{want, envs, prune})
			if err != nil {
				return err
			}
			if dryRun {
				return tellPlan(c, &out, plan)
			}
			if gone := plan.Removed(); len(gone) > 0 && !yes {
				if err := confirm(c, "remove "+listed(gone)); err != nil {
					return err
				}
			}
			done, err := applyPlan(c, node, application{plan, have, &out})
			if err != nil || noWait {
				return err
			}
			wait, names := firsts(node, c.ErrOrStderr(), landed{plan.Functions(), done})
			if err := wait.await(c.Context(), names); err != nil {
				return err
			}
			return awaitRollouts(c.Context(), node, done, c.ErrOrStderr())
		},
	}
	c.Flags().BoolVar(&prune, "prune", false, "remove functions, aliases, hooks and configuration values that are not declared")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done: nothing is changed")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask before something is removed")
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the end of roll-outs, nor for the instances that scale.min keeps")
	out.flag(c)
	return c
}

// maxListed is how many names stand in a question.
const maxListed = 10

// listed is names for a question.
func listed(names []string) string {
	if more := len(names) - maxListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// application is a plan that is done.
type application struct {
	plan *declare.Plan
	have *declare.State // that it is for
	out  *output
}

// applyPlan does a plan and says what it does.
func applyPlan(c *cobra.Command, node *client.Client, a application) ([]wire.Deployed, error) {
	err := a.plan.Prepare(c.Context(), a.have, node, func(function, line string) {
		fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", function, plainLine(line))
	})
	if err != nil {
		return nil, err
	}
	asJSON, _ := a.out.json() // the flag was checked before
	done, err := a.plan.Apply(c.Context(), node, func(s declare.Step) {
		if !asJSON {
			printStep(c.OutOrStdout(), "", s)
		}
	})
	if err != nil {
		return nil, err
	}
	warnOfDeployed(c.ErrOrStderr(), done)
	return done, a.out.print(c.OutOrStdout(), a.plan, func(w io.Writer) { printNotes(w, a.plan) })
}

// declaredIn reads what a directory declares, and which environments that is about; with env the directory declares that one.
func declaredIn(dir, env string) (want *declare.State, envs []string, err error) {
	if env == "" {
		want, envs, err = declare.ReadAll(dir)
		return want, append(envs, ""), err
	}
	plain, inner, err := declare.ReadAll(dir)
	if err != nil {
		return nil, nil, err
	}
	if len(inner) > 0 {
		return nil, nil, fault.New(fault.Invalid, "%s declares environments (%s), and the command is about %s", dir, strings.Join(inner, ", "), env).
			WithHint("apply it without --%s (and DALAMB_ENV); or apply environments/%s of it", envFlag, inner[0])
	}
	want = &declare.State{}
	want.Join(env, plain)
	return want, []string{env}, nil
}

// planned is what an installation is to be made.
type planned struct {
	want  *declare.State
	envs  []string // that it is about; others stay as they are
	prune bool
}

// planFor compares what is there with what is wanted, and lets the node look at what it can before anything is changed.
func planFor(ctx context.Context, node *client.Client, p planned) (plan *declare.Plan, have *declare.State, err error) {
	all, err := declare.Fetch(ctx, node)
	if err != nil {
		return nil, nil, err
	}
	have = all.Only(p.envs...)
	if plan, err = declare.Compare(have, p.want, p.prune); err != nil {
		return nil, nil, err
	}
	for _, env := range all.Environments() {
		if !slices.Contains(p.envs, env) && slices.Contains(p.envs, "") {
			plan.Notes = append(plan.Notes, "environment "+env+" is there and not declared")
		}
	}
	return plan, have, plan.Try(ctx, have, node)
}

// programsOf refuses a program below the code that could not be started.
func programsOf(s *declare.State) error {
	var problems []error
	for _, f := range s.Functions {
		if f.Build == nil { // else the node looks at what it has built
			one := source{manifest: &function.Manifest{Functions: []function.Declared{*f.Declared}}, file: f.File}
			problems = append(problems, checkPrograms(&one, nil))
		}
	}
	return fault.All(problems)
}

func tellPlan(c *cobra.Command, out *output, plan *declare.Plan) error {
	would := dryPlan{true, plan}
	err := out.print(c.OutOrStdout(), would, func(w io.Writer) {
		for _, s := range plan.Steps {
			printStep(w, "would "+s.Verb+" ", s)
		}
		printNotes(w, plan)
		if n := len(plan.Steps); n > 0 {
			fmt.Fprintf(w, "nothing was changed: --dry-run says what would be; without it %s would be taken\n", count(int64(n), "step"))
		}
	})
	warnOfDeployed(c.ErrOrStderr(), plan.Warned())
	if err == nil && len(plan.Steps) > 0 {
		return exitDiffers
	}
	return err
}

// dryPlan is a plan of which nothing was done.
type dryPlan struct {
	DryRun bool `json:"dryRun"`
	*declare.Plan
}

// printStep writes a step as a diff has it, with what is said before its name.
func printStep(w io.Writer, before string, s declare.Step) {
	sign := map[string]string{declare.Create: "+", declare.Change: "~", declare.Remove: "-"}[s.Verb]
	fmt.Fprintf(w, "%s %s%s\n", sign, before, clean(s.What))
	for _, d := range s.Details {
		fmt.Fprintf(w, "    %s\n", clean(d))
	}
}

func printNotes(w io.Writer, plan *declare.Plan) {
	if len(plan.Steps) == 0 {
		fmt.Fprintln(w, "nothing to do: everything is as it is declared")
	}
	for _, note := range plan.Notes {
		fmt.Fprintf(w, "note: %s\n", clean(note))
	}
}
