// Demo runs the main job on real input: a node of its own, the shop deployed on it, orders sent through it.
//
//	go run ./hack/demo [--once] [--data DIR] [--orders N] [--runner NAME]
//
// It drives bin/dalamb as a person would. Without --once it stays up at the end; with it, it exits 0 when every order reached the
// state that it should, else 1 naming those that did not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// patience is how long all orders together may take.
const patience = 90 * time.Second

func main() {
	var o options
	flag.BoolVar(&o.once, "once", false, "stop when every order has arrived")
	flag.StringVar(&o.data, "data", "demo-data", "data directory of the node")
	flag.IntVar(&o.orders, "orders", 12, "how many orders to send")
	flag.StringVar(&o.runner, "runner", "", "runner of the node; default: what the machine can fence with")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, o)
	switch {
	case err == nil:
	case ctx.Err() != nil: // Ctrl-C ends the commands too that the demo runs, and is no failure
		fmt.Println("\ninterrupted; the node is stopped")
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	data, runner string
	orders       int
	once         bool
}

func run(ctx context.Context, o options) error {
	data, err := filepath.Abs(o.data)
	if err != nil {
		return err
	}
	shop, err := prepareShop(data)
	if err != nil {
		return fmt.Errorf("prepare the shop: %w", err)
	}
	n, err := startNode(data, o.runner)
	if err != nil {
		return err
	}
	defer n.stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}

	fmt.Println("deploy examples/shop:")
	if err := n.dalamb("deploy", shop).Run(); err != nil {
		return fmt.Errorf("deploy %s: %w", shop, err)
	}
	orders := newOrders(max(o.orders, 2), time.Now())
	if err := n.send(orders); err != nil {
		return fmt.Errorf("send orders: %w", err)
	}

	fmt.Println()
	watch, stop := context.WithTimeout(ctx, patience)
	defer stop()
	b := newBoard(orders)
	err = n.follow(watch, b)
	b.table()
	if ctx.Err() != nil {
		return nil
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if late := b.late(); len(late) > 0 {
		for _, l := range late {
			fmt.Println("   ", l)
		}
		return fmt.Errorf("%d orders did not reach the state that they should", len(late))
	}
	if err := n.checkMails(b); err != nil {
		return err
	}
	fmt.Printf("\nAll %d orders are where they should be; %d of them came from earlier demos on %s.\n", len(b.orders), len(b.orders)-len(orders), data)
	if o.once {
		return n.stop()
	}
	n.suggest(orders)
	<-ctx.Done()
	fmt.Println("\nstopping the node")
	return n.stop()
}
