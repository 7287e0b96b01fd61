// Kafka runs Apache Kafka brokers on loopback, to try dalamb on them or to look into a test.
//
//	go run ./hack/kafka resolve            fetch the jars (once; Java and Maven are needed)
//	go run ./hack/kafka [-brokers 3] [-security]
//
// It prints the addresses and what to do with them, then does what standard input says, one order a line, until Ctrl-C or SIGTERM:
// kill N, stop N, freeze N, thaw N, start N. What the brokers stored goes with them.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/need/broker"
)

func main() {
	var o broker.Options
	flag.IntVar(&o.Brokers, "brokers", 1, "how many")
	flag.BoolVar(&o.Security, "security", false, "open listeners with TLS and SASL too")
	flag.StringVar(&o.Heap, "heap", "256m", "memory of each broker, as Java writes it")
	flag.BoolVar(&o.FullSpeed, "full-speed", false, "compile as a server does: for measuring")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if byGoRun() {
		go orphaned(cancel)
	}
	if err := run(ctx, o, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "kafka:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o broker.Options, verb string) error {
	switch verb {
	case "resolve":
		_, err := broker.Resolve(ctx)
		return err
	case "":
	default:
		return fmt.Errorf("%q is no verb here: resolve, or none", verb)
	}
	d, err := broker.Find()
	if err != nil {
		return err
	}
	c, err := broker.Start(ctx, d, o)
	if err != nil {
		return err
	}
	describe(c, o)
	orders := make(chan string)
	go func() { // ends with standard input, or with the program
		defer close(orders)
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			orders <- lines.Text()
		}
	}()
	for {
		select {
		case line, ok := <-orders:
			if !ok {
				orders = nil // and stay until the signal
				continue
			}
			if err := obey(ctx, c, line); err != nil {
				fmt.Fprintln(os.Stderr, "kafka:", err)
			}
		case <-ctx.Done():
			return c.Close()
		}
	}
}

func describe(c *broker.Cluster, o broker.Options) {
	fmt.Printf("kafka://%s\n", c.Bootstrap())
	if o.Security {
		for _, l := range broker.Listeners()[1:] {
			fmt.Printf("%-8s %s\n", l, c.Addresses(l))
		}
		fmt.Printf("user %s, password %s\n", broker.User, broker.Password)
	}
	fmt.Println("files in", c.Dir())
	fmt.Printf(`
  dalamb up --log kafka://%[1]s --data DIR         a node on it; each node has a directory of its own
  DALAMB_TEST_KAFKA=%[1]s go test ./internal/...   tests of both engines, on this one
  kill N | stop N | freeze N | thaw N | start N              a line here: what happens to broker N, from 1 to %[2]d
  Ctrl-C, or kill %[3]d: all brokers end, and what they stored goes

`, c.Bootstrap(), c.Size(), os.Getpid())
}

// byGoRun says that go run has built and started this program: it keeps SIGTERM to itself and leaves the program behind.
func byGoRun() bool {
	path, err := os.Executable()
	return err == nil && strings.Contains(path, string(os.PathSeparator)+"go-build")
}

// orphaned ends the program when the process that started it is gone. It runs as long as the program.
func orphaned(end func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for parent := os.Getppid(); os.Getppid() == parent; {
		<-tick.C
	}
	end()
}

// obey does one order, such as "kill 2".
func obey(ctx context.Context, c *broker.Cluster, line string) error {
	verb, number, _ := strings.Cut(strings.TrimSpace(line), " ")
	if verb == "" {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil {
		return fmt.Errorf("%q: an order is a verb and a broker's number, such as kill 2", line)
	}
	switch verb {
	case "kill":
		err = c.Kill(n)
	case "stop":
		err = c.Stop(n)
	case "freeze":
		err = c.Freeze(n)
	case "thaw":
		err = c.Thaw(n)
	case "start":
		err = c.Restart(ctx, n)
	default:
		return fmt.Errorf("%q is no order: kill, stop, freeze, thaw, start", verb)
	}
	if err == nil {
		fmt.Println("done:", line)
	}
	return err
}
