// Bench measures dalamb against yardsticks that run in the same minute, and prints one table.
//
//	go run ./hack/bench [ROW...]
//
// A row is measured in turns with its yardstick, so that a slow moment of the machine meets both; "ratio" is the median over the
// turns and "middle half" says where half of them lie. BENCH_OUT=FILE writes the table as JSON too, BENCH_PAGE=docs/performance.md
// puts the rows where that page has a place for them, BENCH_PROFILE=FILE writes a CPU profile of the node in the batch row and the sync row, of the latter its calls from 16 connections. BENCH_TURNS=N takes fewer turns, to see that a row works, and BENCH_RUNS=N fewer runs in the month row. It drives bin/dalamb as a
// person would. A target that is missed is told, and is no error.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// row is one name on the command line.
type row struct {
	name    string
	measure func(ctx context.Context, b *bench) error
}

// rows are listed in the order in which they are measured and printed.
func rows() []row {
	return []row{
		{"append", appendRow},
		{"audit", auditRow},
		{"latency", latencyRow},
		{"throughput", throughputRow},
		{"batch", batchRow},
		{"order", orderRow},
		{"triggers", triggersRow},
		{"sync", syncRow},
		{"policies", policiesRow},
		{"telemetry", telemetryRow},
		{"hops", hopsRow},
		{"cache", cacheRow},
		{"overload", overloadRow},
		{"sockets", socketsRow},
		{"coldstart", coldStartRow},
		{"fresh", freshRow},
		{"burst", burstRow},
		{"scale", scaleRow},
		{"image", imageRow},
		{"match", matchRow},
		{"idle", idleRow},
		{"live", liveRow},
		{"writes", writesRow},
		{"restart", restartRow},
		{"console", consoleRow},
		{"month", monthRow},
		{"push", pushRow},
		{"watch", watchRow},
		{"lag", lagRow},
		{"kafka", kafkaRow},
	}
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	log.SetOutput(io.Discard) // where Pebble tells of every start
	turns, err := strconv.Atoi(cmp.Or(os.Getenv("BENCH_TURNS"), "0"))
	if err == nil {
		err = run(ctx, os.Args[1:], turns, outputs{os.Getenv("BENCH_OUT"), os.Getenv("BENCH_PAGE"), os.Getenv("BENCH_PROFILE")})
	}
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// outputs are files; "" = none.
type outputs struct{ table, page, profile string }

// run measures the rows that are named, or all, and prints what could be measured also when a row failed.
func run(ctx context.Context, names []string, turns int, to outputs) (err error) {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	b, err := newBench(to.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	b.table.Turns = turns
	begun := time.Now()
	var failed error
	for _, r := range chosen {
		fmt.Fprintf(os.Stderr, "%s ...", r.name)
		at := time.Now()
		b.row = r.name
		err := r.measure(ctx, b)
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr)
			return errors.New("interrupted")
		}
		fmt.Fprintf(os.Stderr, " %s\n", time.Since(at).Round(time.Second))
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("row %s: %w", r.name, err))
		}
	}
	b.table.Seconds = time.Since(begun).Seconds()
	b.table.print(os.Stdout)
	if to.table != "" {
		failed = errors.Join(failed, b.table.write(to.table))
	}
	if to.page != "" {
		failed = errors.Join(failed, b.table.update(to.page))
	}
	return failed
}

func choose(names []string) ([]row, error) {
	all := rows()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []row
	for _, name := range names {
		i := slices.IndexFunc(all, func(r row) bool { return r.name == name })
		if i < 0 {
			known := make([]string, len(all))
			for i, r := range all {
				known[i] = r.name
			}
			return nil, fmt.Errorf("no row is named %q; rows: %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
