// Clients installs the runtime clients of AWS that the tests run as functions, the extensions that they run beside them, and a server of WebSockets, into the user's cache. One that needs a program which the
// machine lacks is named and left out.
//
//	go run ./hack/clients [names]
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/dalamb/dalamb/internal/need/client"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	failed := false
	for _, c := range client.Everything() {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], c.Name) {
			continue
		}
		switch err := c.Install(ctx); {
		case errors.Is(err, client.ErrNotHere):
			fmt.Fprintf(os.Stderr, "clients: %s is left out: %v\n", c.Name, err)
		case err != nil:
			fmt.Fprintf(os.Stderr, "clients: %v\n", err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
