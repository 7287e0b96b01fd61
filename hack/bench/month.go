package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	monthDays  = 30
	monthRuns  = 10 * monthDays * 24 * 60 * 60 // 10 a second
	monthLeast = monthDays * monthChunk
	monthBound = 100 // ms
)

// monthRow: questions about the runs of a month, ten a second, against the same about a day's, and what the index of them costs. BENCH_RUNS=N takes fewer
// runs in the month, and in the day.
func monthRow(ctx context.Context, b *bench) error {
	runs, err := runsWanted(os.Getenv("BENCH_RUNS"))
	if err != nil {
		return err
	}
	if _, err := b.program(ctx, "web"); err != nil {
		return err
	}
	month, day := &remembered{b: b, name: "month", days: monthDays, runs: runs}, &remembered{b: b, name: "day", days: 1, runs: runs / monthDays}
	for _, r := range []*remembered{month, day} {
		if err := r.begin(ctx); err != nil {
			return err
		}
	}
	size := fmt.Sprintf("%s in a month, %.2g a second", figure(float64(runs), "runs"), float64(runs)/(monthDays*24*60*60))
	once := func(what, unit string, of func(*remembered) float64) {
		value, yardstick := of(month), of(day)
		ratio := value / yardstick
		b.add(line{Case: what + ", " + size, Unit: unit, Value: value, Yardstick: "of a day", Of: yardstick, Ratio: spread{Median: ratio, Low: ratio, High: ratio}})
	}
	once("first fold of the index", "s", func(r *remembered) float64 { return r.folded.Seconds() })
	once("disk of the index", "MiB", func(r *remembered) float64 { return r.indexMiB })
	once("disk of the log", "MiB", func(r *remembered) float64 { return r.logMiB })
	for _, q := range monthQuestions() {
		s, err := inTurns(ctx, b.turns(15), func() (float64, error) { return month.asked(ctx, q) }, func() (float64, error) { return day.asked(ctx, q) })
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{Case: q.name + ", " + size, Unit: "ms", Value: value, Yardstick: "of a day", Of: of, Ratio: ratio, Target: valueAtMost(monthBound)})
	}
	return nil
}

func runsWanted(text string) (int, error) {
	if text == "" {
		return monthRuns, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < monthLeast {
		return 0, fmt.Errorf("BENCH_RUNS: %q is not a number of at least %d", text, monthLeast)
	}
	return n, nil
}

// remembered is a node that knows of so many runs.
type remembered struct {
	b        *bench
	name     string
	days     int
	runs     int
	node     *node
	pages    *pages
	told     *told
	folded   time.Duration // that the index took to know of all runs
	indexMiB float64
	logMiB   float64
}

// begin makes the log and waits until a node has its index. What is kept for how long is altered as a user does it.
func (r *remembered) begin(ctx context.Context) (err error) {
	n, err := r.b.startNode(ctx, r.name)
	if err != nil {
		return err
	}
	alter := exec.CommandContext(ctx, binary, "topic", "alter", function.TopicRuns, "--retention", "31d", "--max-bytes", "forever")
	alter.Env = append(os.Environ(), "DALAMB_DATA="+n.data)
	if out, err := alter.CombinedOutput(); err != nil {
		return fmt.Errorf("keep runs for a month: %w\n%s", err, out)
	}
	if err := r.b.deploy(ctx, n, r.name, restartManifest(restartFunctions, 1)); err != nil {
		return err
	}
	if err := n.stop(); err != nil {
		return err
	}
	log, index := filepath.Join(n.data, "log"), filepath.Join(n.data, "history")
	if r.told, err = tellRuns(ctx, log, r.days, r.runs); err != nil {
		return err
	}
	if r.logMiB, err = diskMiB(log); err != nil {
		return err
	}
	begun := time.Now()
	if r.node, err = r.b.startNode(ctx, r.name); err != nil {
		return err
	}
	for _, id := range r.told.last {
		if err := r.known(ctx, id); err != nil {
			return err
		}
	}
	r.folded = time.Since(begun)
	if err := r.node.healthy(ctx); err != nil {
		return err
	}
	if r.indexMiB, err = diskMiB(index); err != nil {
		return err
	}
	r.pages, err = openConsole(ctx, r.node)
	return err
}

// known waits until the node tells of a run.
func (r *remembered) known(ctx context.Context, id string) error {
	for {
		_, err := r.node.client.Run(ctx, id)
		if err == nil || fault.KindOf(err) != fault.NotFound {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("the node does not know of all runs: %w", err)
		}
	}
}

// diskMiB is what the files below a directory take.
func diskMiB(dir string) (float64, error) {
	var bytes int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return float64(bytes) / (1 << 20), err
}

// question is one that people ask about runs. A whole month has an answer to each.
type question struct {
	name string
	ask  func(ctx context.Context, r *remembered) (found int, err error)
}

// asked measures how many milliseconds an answer takes.
func (r *remembered) asked(ctx context.Context, q question) (float64, error) {
	begun := time.Now()
	found, err := q.ask(ctx, r)
	took := milliseconds(time.Since(begun))
	if err == nil && found == 0 && r.runs == monthRuns {
		err = errors.New("the node knows of none")
	}
	return took, err
}

func monthQuestions() []question {
	listed := func(name string, of func(r *remembered) client.RunQuery) question {
		return question{name, func(ctx context.Context, r *remembered) (int, error) {
			list, err := r.node.client.Runs(ctx, of(r))
			return len(list.Runs), err
		}}
	}
	one := func(name string, id func(*told) string) question {
		return question{name, func(ctx context.Context, r *remembered) (int, error) {
			_, err := r.node.client.Run(ctx, id(r.told))
			return 1, err
		}}
	}
	page := func(name, path string) question {
		return question{name, func(ctx context.Context, r *remembered) (int, error) {
			_, err := r.pages.times(ctx, path)()
			return 1, err
		}}
	}
	often, seldom := monthFunction(0), monthFunction(restartFunctions-2)
	return []question{
		listed("newest runs of a function", func(*remembered) client.RunQuery { return client.RunQuery{Function: seldom, Limit: 100} }),
		listed("dead runs of a function that runs often", func(*remembered) client.RunQuery {
			return client.RunQuery{Function: often, State: function.RunDead, Limit: 100}
		}),
		listed("dead runs of a function that seldom runs", func(*remembered) client.RunQuery {
			return client.RunQuery{Function: seldom, State: function.RunDead, Limit: 100}
		}),
		listed("runs of one hour, three weeks ago", func(r *remembered) client.RunQuery { return r.hour("") }),
		listed("runs of a function in that hour", func(r *remembered) client.RunQuery { return r.hour(often) }),
		one("a run by its id", func(t *told) string { return t.alone }),
		one("a run of a batch by its id", func(t *told) string { return t.together }),
		{"an id that no run has", func(ctx context.Context, r *remembered) (int, error) {
			_, err := r.node.client.Run(ctx, "00000000-0000-4000-8000-000000000000")
			if fault.KindOf(err) == fault.NotFound {
				err = nil
			}
			return 1, err
		}},
		page("a function's page, its errors grouped", "/functions/"+seldom),
		page("dead letters of a function, grouped by error", "/dead?function="+seldom),
		page("overview", "/"),
		{"usage of all of it by function, as dalamb usage asks", func(ctx context.Context, r *remembered) (int, error) {
			list, err := r.node.client.Usage(ctx, fmt.Sprint(r.days, "d"), "", wire.UsageByFunction)
			return len(list.Sums), err
		}},
		{"usage of all of it by day", func(ctx context.Context, r *remembered) (int, error) {
			list, err := r.node.client.Usage(ctx, fmt.Sprint(r.days, "d"), "", wire.UsageByDay)
			return len(list.Sums), err
		}},
	}
}

// hour asks for the runs of one hour: three tenths of the way to the newest, which is three weeks ago in a month.
func (r *remembered) hour(fn string) client.RunQuery {
	since := r.told.begin.Add(r.told.end.Sub(r.told.begin) * 3 / 10)
	return client.RunQuery{Function: fn, Since: since, Before: since.Add(time.Hour), Limit: 100}
}
