package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/wire"
)

// topEvery is how often the view is drawn anew.
const topEvery = time.Second

func topCommand(env *environment) *cobra.Command {
	var out output
	var once bool
	order := "rate"
	c := &cobra.Command{
		Use:   "top [--once] [--sort COLUMN]",
		Short: "Watch what the functions do, on a terminal",
		Long: `Watch what the functions of a node do, drawn anew each second: calls a second, the part of them that failed, how long they took on average and
95 of 100 at most, all over the last while (health.window); live instances, calls that wait for one, and events that triggers have not finished. Failed are calls as
dalamb health counts them.

Keys sort: r rate, e errors, a average, p p95, i instances, w waiting, l lag, n name; the same key again turns the order round. q ends.
With --once, or where the standard output is no terminal, it prints one view and ends.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			by, err := topOrderOf(order)
			if err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			look := func(ctx context.Context) (*topView, error) { return lookAtTop(ctx, node, env) }
			screen, ok := c.OutOrStdout().(*os.File)
			keys, hasKeys := c.InOrStdin().(*os.File)
			if once || asJSON || !ok || !hasKeys || !term.IsTerminal(int(screen.Fd())) || !term.IsTerminal(int(keys.Fd())) {
				view, err := look(c.Context())
				if err != nil {
					return err
				}
				return out.print(c.OutOrStdout(), view, func(w io.Writer) {
					io.WriteString(w, strings.Join(view.lines(by, time.Now()), "\n")+"\n")
				})
			}
			return watchTop(c.Context(), screen, keys, look, by)
		},
	}
	c.Flags().BoolVar(&once, "once", false, "print one view and end")
	c.Flags().StringVar(&order, "sort", order, "by which column: "+strings.Join(topColumnNames(), ", "))
	out.flag(c)
	return c
}

// lookAtTop asks the node for all that one view shows.
func lookAtTop(ctx context.Context, node *client.Client, env *environment) (*topView, error) {
	about, err := node.Node(ctx)
	if err != nil {
		return nil, err
	}
	health, err := node.Health(ctx)
	if err != nil {
		return nil, err
	}
	functions, err := node.Functions(ctx)
	if err != nil {
		return nil, err
	}
	return newTopView(&about, &health, ofEnvironment(env, functions, func(f *wire.FunctionSummary) string { return f.Name })), nil
}

// watchTop draws views until a key or ctx ends it. The terminal is as it was when it returns.
func watchTop(ctx context.Context, screen, keys *os.File, look func(context.Context) (*topView, error), by topOrder) (err error) {
	before, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return fmt.Errorf("take the keys of the terminal: %w", err)
	}
	fmt.Fprint(screen, "\x1b[?1049h\x1b[?25l") // another screen, without a cursor: xterm control sequences, DECSET
	defer func() {
		fmt.Fprint(screen, "\x1b[?25h\x1b[?1049l")
		_ = term.Restore(int(keys.Fd()), before)
	}()
	for {
		view, err := look(ctx)
		if err != nil {
			return err
		}
		for next := time.Now().Add(topEvery); ; {
			drawTop(screen, view.lines(by, time.Now()))
			key, err := keyUntil(ctx, keys, next)
			if err != nil || ctx.Err() != nil {
				return err
			}
			if key == 0 {
				break // it is time for the next view
			}
			var on bool
			if by, on = by.pressed(key); !on {
				return nil
			}
		}
	}
}

// drawTop writes lines over the whole screen, cut to its size. Raw terminals want a carriage return. ECMA-48: CUP, EL, ED.
func drawTop(screen *os.File, lines []string) {
	width, height, err := term.GetSize(int(screen.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines = lines[:min(len(lines), height)]
	for i, line := range lines {
		lines[i] = short(line, width) + "\x1b[K"
	}
	fmt.Fprint(screen, "\x1b[H"+strings.Join(lines, "\r\n")+"\x1b[J")
}

// keyUntil waits for a key; 0 = none was pressed until then. It looks up each tenth of a second, for ctx.
func keyUntil(ctx context.Context, keys *os.File, until time.Time) (byte, error) {
	for ctx.Err() == nil {
		left := time.Until(until)
		if left <= 0 {
			return 0, nil
		}
		fds := []unix.PollFd{{Fd: int32(keys.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(min(left, 100*time.Millisecond).Milliseconds())+1)
		switch {
		case err == unix.EINTR || err == nil && n == 0:
			continue
		case err != nil:
			return 0, fmt.Errorf("wait for a key: %w", err)
		}
		var b [1]byte
		if _, err := keys.Read(b[:]); err != nil {
			return 'q', nil // the terminal is gone
		}
		return b[0], nil
	}
	return 0, nil
}
