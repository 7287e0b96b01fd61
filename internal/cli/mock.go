package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/mock"
	"github.com/dalamb/dalamb/internal/openapi"
)

// mockPatience is how long a client of a mock may take for its header, and a mock for its document and its end.
const mockPatience = 30 * time.Second

func mockCommand(env *environment) *cobra.Command {
	var record, since, listen string
	c := &cobra.Command{
		Use:   "mock FILE|URL | mock --record FUNCTION [--since 1h]",
		Short: "Stand in for a service, by its document or by recorded answers",
		Long: `Answer HTTP requests as a service would that is not there, until it is interrupted.

  dalamb mock openapi.yaml         by an OpenAPI document: its examples, else values that fit its schemas, the same ones each time. A request that is not
                                   as the document says is answered 400. A client chooses with the header Prefer: code=404, or example=NAME
  dalamb mock --record pay         by what the function pay has answered before: to the same request the newest answer, else the nearest one's

Pages of all origins may call. The header Dalamb-Mock of an answer says where it is from. See docs/openapi.md.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == (record != "") {
				return fault.New(fault.Invalid, "mock answers either by a document or by a record").WithHint("dalamb mock FILE, or dalamb mock --record FUNCTION")
			}
			var handler http.Handler
			var by string
			var err error
			if record != "" {
				handler, by, err = recorded(c.Context(), env, function.Full(env.env, record), since)
			} else {
				handler, by, err = documented(c.Context(), args[0])
			}
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fault.New(fault.Invalid, "cannot listen on %s: %w", listen, err).WithHint("another address: --listen 127.0.0.1:0 takes a free port")
			}
			fmt.Fprintf(c.OutOrStdout(), "http://%s answers by %s\n", l.Addr(), by)
			return serveMock(c.Context(), l, handler)
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8089", "where to listen")
	f.StringVar(&record, "record", "", "answer by what this function has answered before")
	f.StringVar(&since, "since", "", "of the record, only what is not older: how long ago, or a time (default: all that there is)")
	return c
}

// serveMock serves until ctx is done.
func serveMock(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: mockPatience, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err := server.Close()
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func documented(ctx context.Context, from string) (http.Handler, string, error) {
	text, err := documentText(ctx, from)
	if err != nil {
		return nil, "", err
	}
	d, err := openapi.Parse(from, text)
	if err != nil {
		return nil, "", err
	}
	return mock.Documented(d), fmt.Sprintf("%s, %s", from, count(int64(len(d.Operations())), "operation")), nil
}

// documentText reads a file, or what is at a URL.
func documentText(ctx context.Context, from string) ([]byte, error) {
	if !strings.HasPrefix(from, "http://") && !strings.HasPrefix(from, "https://") {
		text, err := os.ReadFile(from)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%w", err)
		}
		return text, nil
	}
	ctx, cancel := context.WithTimeout(ctx, mockPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Unavailable, "%s answers %s", from, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, openapi.MaxBytes+1))
}

// recorded reads what a function has answered, as it is now in the log.
func recorded(ctx context.Context, env *environment, name, since string) (http.Handler, string, error) {
	node, err := env.client()
	if err != nil {
		return nil, "", err
	}
	filter, err := json.Marshal(map[string]any{"subject": []string{name}})
	if err != nil {
		return nil, "", err
	}
	var all mock.Recorded
	for e, err := range node.Events(ctx, client.EventQuery{Topic: function.TopicRequests, From: since, Filter: string(filter)}) {
		if err != nil {
			return nil, "", err
		}
		var of struct{ Data function.Request }
		if err := json.Unmarshal(e.Event, &of); err != nil {
			continue // an event of another kind
		}
		all.Add(of.Data)
	}
	n, cut := all.Len()
	if n == 0 && cut > 0 {
		return nil, "", fault.New(fault.NotFound, "the record has no answer of %s whole", name).WithHint("a route with record: meta keeps none, and none keeps more of one than 64 KiB; docs/routes.md")
	}
	if n == 0 {
		return nil, "", fault.New(fault.NotFound, "nothing that %s has answered is in the record", name).WithHint("dalamb events --topic %s shows what is; the record is kept for some days", function.TopicRequests)
	}
	by := fmt.Sprintf("%s that %s has answered", count(int64(n), "request"), name)
	if cut > 0 {
		by += fmt.Sprintf(" (%d left out, whose answers the record does not have whole)", cut)
	}
	return all.Handler(), by, nil
}
