// Test runs all Go tests and says at the end what it passed, what failed and what the machine lacked.
//
//	go run ./hack/test [-long] [-screenshots DIR] [packages]
//
// Without packages it runs all of them, and then, where Kafka is installed, those whose behaviour may not depend on the engine again, on
// real brokers.
//
// The race detector is on where the machine has a C compiler. -long runs what takes minutes: tests that ask for DALAMB_LONG=1, and
// each fuzz target for half a minute.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/need/broker"
)

// testEvent is a line of go test -json; see go doc test2json.
type testEvent struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// report gathers what the lines say.
type report struct {
	passed, failed int
	skipped        []string // "package.Test: reason"
	broken         []string // failed tests and packages
	output         map[string][]string
	slow           []timed // tests that took over slowFrom
}

// timed is a test and how long it took, in seconds; of a parallel one, without its wait for a turn.
type timed struct {
	name    string
	seconds float64
}

// slowFrom is how long a test takes, in seconds, that is named at the end: what keeps everybody waiting should be seen.
const slowFrom = 20

func main() {
	long := flag.Bool("long", false, "also run what takes minutes")
	pictures := flag.String("screenshots", "", "directory for pictures of the console's pages")
	flag.Parse()
	if *pictures != "" {
		os.Setenv("DALAMB_SCREENSHOTS", directory(*pictures))
	}
	if *long {
		os.Setenv("DALAMB_LONG", "1")
	}
	os.Unsetenv("DALAMB_WITHOUT") // this is the complete run
	start := time.Now()
	r := &report{output: map[string][]string{}}
	err := r.all(flag.Args(), *long)
	r.print()
	if err == nil && *long {
		err = fuzz()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		os.Exit(1)
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skipped))
	fmt.Fprintf(os.Stderr, "in %s\n", time.Since(start).Round(time.Second))
	if len(r.broken) > 0 {
		os.Exit(1)
	}
}

// directory makes a directory, and says where it is to tests that run elsewhere.
func directory(name string) string {
	whole, err := filepath.Abs(name)
	if err == nil {
		err = os.MkdirAll(whole, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		os.Exit(1)
	}
	return whole
}

// all runs what was asked for.
func (r *report) all(packages []string, long bool) error {
	if len(packages) > 0 {
		return r.run(packages, long)
	}
	if err := r.run([]string{"./..."}, long); err != nil {
		return err
	}
	d, err := broker.Find()
	if errors.Is(err, broker.ErrNotHere) {
		r.lack("behaviour on Kafka: needs " + err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for Kafka: %w", err)
	}
	c, err := broker.Start(context.Background(), d, broker.Options{})
	if err != nil {
		return fmt.Errorf("start Kafka: %w", err)
	}
	defer c.Close()
	fmt.Println("on Kafka:")
	os.Setenv("DALAMB_TEST_KAFKA", c.Bootstrap())
	if err := r.run(behaviour(long), long); err != nil || long {
		return err
	}
	return r.run([]string{"./internal/dispatch"}, long, "-run="+heart)
}

// heart names the tests of dispatch that run on Kafka every time; -long runs all of them, which takes many minutes.
const heart = "^(TestProgressIsExact|TestEveryEventRunsOnce|TestOrderPartition|TestBatchesKeep|TestPositions|TestParkedRuns|TestAParkedRun|TestAPausedKey|TestAnInterruptedRedrive|TestARepeatedEvent|TestASkippedRepeat|TestForeign|TestWhatRetention|TestAKeyDoesNot)"

// behaviour lists the packages whose tests open their log by enginetest.
func behaviour(long bool) []string {
	packages := []string{"./internal/catalog", "./internal/source/..."}
	if long {
		packages = append(packages, "./internal/dispatch")
	}
	return packages
}

// lack notes what the machine lacks for a whole part.
func (r *report) lack(what string) {
	if os.Getenv("DALAMB_NO_SKIP") == "1" {
		r.failed++
		r.broken = append(r.broken, what)
		return
	}
	r.skipped = append(r.skipped, what)
}

func (r *report) run(packages []string, long bool, extra ...string) error {
	args := []string{"test", "-json", "-shuffle=on", "-timeout=20m"}
	if long {
		args = append(args, "-count=1", "-timeout=60m")
	}
	cmd := exec.Command("go")
	if _, err := exec.LookPath("gcc"); err == nil {
		args = append(args, "-race")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	} else {
		fmt.Println("skipped: the race detector (needs a C compiler)")
	}
	cmd.Args = slices.Concat([]string{"go"}, args, extra, packages)
	cmd.Path, _ = exec.LookPath("go")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e testEvent
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text())
			continue
		}
		r.take(e)
	}
	if err := cmd.Wait(); err != nil && len(r.broken) == 0 {
		return fmt.Errorf("go test: %w", err)
	}
	return lines.Err()
}

func (r *report) take(e testEvent) {
	name := strings.TrimPrefix(e.Package, "github.com/dalamb/dalamb/")
	if e.Test != "" {
		name += "." + e.Test
	}
	switch e.Action {
	case "output", "build-output":
		r.output[name] = append(r.output[name], e.Output)
		return
	case "pass":
		if e.Test != "" {
			r.passed++
			if e.Elapsed >= slowFrom {
				r.slow = append(r.slow, timed{name, e.Elapsed})
			}
		} else {
			fmt.Printf("ok   %-50s %6.1fs\n", name, e.Elapsed)
		}
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, name+": "+reason(r.output[name]))
		}
	case "fail":
		if e.Test != "" {
			r.failed++
		} else {
			fmt.Printf("FAIL %-50s %6.1fs\n", name, e.Elapsed)
		}
		r.broken = append(r.broken, name)
		for _, line := range r.output[name] {
			fmt.Print("     ", line)
		}
	}
	delete(r.output, name)
}

// reason finds the words of a skip among a test's output lines.
func reason(lines []string) string {
	for _, line := range slices.Backward(lines) {
		if _, why, ok := strings.Cut(line, "skipped: "); ok {
			return strings.TrimSpace(why)
		}
	}
	return "no reason given"
}

func (r *report) print() {
	if len(r.slow) > 0 {
		fmt.Printf("\nover %d s:\n", slowFrom)
		slices.SortFunc(r.slow, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
		for _, t := range r.slow {
			fmt.Printf("     %6.1fs %s\n", t.seconds, t.name)
		}
	}
	if len(r.skipped) > 0 {
		fmt.Println("\nskipped, because the machine lacks it (make tools installs what it can):")
		for _, s := range r.skipped {
			fmt.Println("    ", s)
		}
	}
	if len(r.broken) > 0 {
		fmt.Println("\nfailed:")
		for _, s := range r.broken {
			fmt.Println("    ", s)
		}
	}
}

// fuzz runs every fuzz target for half a minute.
func fuzz() error {
	list, err := exec.Command("git", "grep", "-E", `^func Fuzz[A-Za-z0-9_]+`, "--", "*_test.go").Output()
	if err != nil {
		return fmt.Errorf("list fuzz targets: %w", err)
	}
	for line := range strings.Lines(string(list)) {
		file, decl, _ := strings.Cut(line, ":func ")
		target, _, _ := strings.Cut(decl, "(")
		dir := "./" + path.Dir(file)
		fmt.Println("fuzz", dir, target)
		cmd := exec.Command("go", "test", "-run=^$", "-fuzz=^"+target+"$", "-fuzztime=30s", dir)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("fuzz %s: %w", target, err)
		}
	}
	return nil
}
