package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func servicesCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use:     "services",
		Aliases: []string{"service"},
		Short:   "Show and register services that are no functions",
		Long: `Show and register services that are no functions: who serves them, where, and whether that instance is healthy. A service registers its instances
itself, by PUT /v1/services/NAME/INSTANCE on the control listener or with this command, and is found there, by DNS (dalamb up --dns) and by who watches /v1/watch. See
docs/services.md.`,
	}
	c.AddCommand(servicesList(env), servicesShow(env), servicesRegister(env), servicesDeregister(env))
	return c
}

func servicesList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List services", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Services(c.Context())
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no services; an instance is made known with dalamb services register")
					return
				}
				var rows []row
				for _, s := range list {
					rows = append(rows, cells(s.Name, strconv.Itoa(s.Instances), strconv.Itoa(s.Healthy)))
				}
				table(w, []string{"SERVICE", "INSTANCES", "HEALTHY"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

func servicesShow(env *environment) *cobra.Command {
	var out output
	var healthy bool
	c := &cobra.Command{
		Use: "show SERVICE", Short: "Show the instances of a service", Args: cobra.ExactArgs(1),
		Long: `Show the instances of a service, where they are, and whether each is healthy: its heartbeats come, or its checks pass. SINCE is when that became so.`,
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			s, err := node.Service(c.Context(), args[0], healthy)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), s, func(w io.Writer) {
				var rows []row
				for i := range s.Instances {
					rows = append(rows, instanceRow(&s.Instances[i]))
				}
				table(w, []string{"INSTANCE", "ADDRESS", "VERSION", "WEIGHT", "STATE", "SINCE", "METADATA"}, rows)
			})
		},
	}
	c.Flags().BoolVar(&healthy, "healthy", false, "only those that are healthy")
	out.flag(c)
	return c
}

func instanceRow(i *function.ServiceInstance) row {
	state, version := "healthy", i.Version
	if !i.Healthy {
		state = "unhealthy"
	}
	if version == "" {
		version = "-"
	}
	var metadata []string
	for _, name := range slices.Sorted(maps.Keys(i.Metadata)) {
		metadata = append(metadata, name+"="+i.Metadata[name])
	}
	r := cells(i.Instance, i.Address, version, strconv.Itoa(i.Weight), state, stamp(i.Since), strings.Join(metadata, " "))
	if i.Reason != "" {
		r.notes = []string{i.Reason}
	}
	return r
}

func servicesRegister(env *environment) *cobra.Command {
	var out output
	var r function.Registration
	var metadata []string
	var ttl time.Duration
	var check string
	var keep bool
	c := &cobra.Command{
		Use:   "register SERVICE INSTANCE --address HOST:PORT",
		Short: "Make an instance of a service known, or send its heartbeat",
		Long: `Make an instance of a service known. The same command again is its heartbeat: without one for the time of --ttl it is unhealthy, and after an hour it is
taken away. With --keep this command sends the heartbeats, until it is interrupted, and then takes the instance away. With --check dalamb looks after the instance itself: "tcp" for a
connection that can be made, or a path that answers 2xx to GET.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			r.Service, r.Instance, r.TTL = args[0], args[1], function.Duration(ttl)
			switch {
			case check == "tcp":
				r.Check = &function.ServiceCheck{}
			case check != "":
				r.Check = &function.ServiceCheck{Path: check}
			}
			if len(metadata) > 0 {
				r.Metadata = map[string]string{}
			}
			for _, one := range metadata {
				name, value, ok := strings.Cut(one, "=")
				if !ok || name == "" {
					return fault.New(fault.Invalid, "--meta %q is not NAME=VALUE", one)
				}
				r.Metadata[name] = value
			}
			if err := r.Validate(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			i, err := node.RegisterInstance(c.Context(), r)
			if err != nil {
				return err
			}
			err = out.print(c.OutOrStdout(), i, func(w io.Writer) {
				fmt.Fprintf(w, "%s/%s  registered at %s\n", i.Service, i.Instance, i.Address)
			})
			if err != nil || !keep {
				return err
			}
			return keepRegistered(c.Context(), node, r, c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.StringVar(&r.Address, "address", "", "where others reach it: HOST:PORT")
	f.StringVar(&r.Version, "version", "", "of what runs there")
	f.IntVar(&r.Weight, "weight", 1, "its share of the work, 1 to 1000")
	f.StringArrayVar(&metadata, "meta", nil, "NAME=VALUE that others can read; may be repeated")
	f.DurationVar(&ttl, "ttl", 0, "how long it is healthy without a heartbeat; 30s")
	f.StringVar(&check, "check", "", "let dalamb check it: tcp, or a path")
	f.BoolVar(&keep, "keep", false, "go on sending heartbeats until interrupted")
	c.MarkFlagsMutuallyExclusive("ttl", "check")
	c.MarkFlagsMutuallyExclusive("keep", "check")
	_ = c.MarkFlagRequired("address") // it is there
	out.flag(c)
	return c
}

// goodbye bounds the last request of a command that was interrupted.
const goodbye = 5 * time.Second

// keepRegistered sends heartbeats until ctx is done, and takes the instance away then. A node that cannot answer now is asked again.
func keepRegistered(ctx context.Context, node *client.Client, r function.Registration, errs io.Writer) error {
	beat := time.NewTicker(r.TTL.Std() / 3)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			if _, err := node.RegisterInstance(ctx, r); err != nil && ctx.Err() == nil {
				if !fault.Retryable(err) {
					return err
				}
				fmt.Fprintf(errs, "heartbeat: %v\n", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
			defer cancel()
			if err := node.DeregisterInstance(last, r.Service, r.Instance); err != nil {
				return errors.Join(ctx.Err(), fmt.Errorf("take %s/%s away: %w", r.Service, r.Instance, err))
			}
			return nil
		}
	}
}

func servicesDeregister(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "deregister SERVICE INSTANCE", Short: "Take an instance of a service away", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if err := node.DeregisterInstance(c.Context(), args[0], args[1]); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s/%s  taken away\n", args[0], args[1])
			return nil
		},
	}
}
