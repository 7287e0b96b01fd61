package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Process runs the command line of this process and returns the exit code. The first Ctrl-C or SIGTERM asks the command to end
// by itself, so that a node drains; from then on the signals have their usual effect, and a second one ends the process at once.
// Where nobody reads the output any more, a write of it is an error: no signal kills a node for its log, or a command before it has tidied up.
func Process() int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // caught and not ignored, which functions would inherit
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Main(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}
