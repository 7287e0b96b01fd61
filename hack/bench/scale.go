package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// scaleManifest has a function each of whose calls has an instance of its own.
const scaleManifest = `
name: scale
code: lambda
entry: {type: lambda, command: [./lambda]}
resources: {memory: 64Mi, cpu: 8}
scale: {max: 100, reuse: never, idle: 100ms}
triggers: [{name: call, route: {method: POST, path: /scale}}]
`

// scaleRow: from a hundred calls at a time, with no instance there, to the hundredth answer, each by an instance of its own, against as many
// forks and execs of a program one after another.
func scaleRow(ctx context.Context, b *bench) error {
	const calls = 100
	if _, err := b.program(ctx, "lambda"); err != nil {
		return err
	}
	once, err := b.program(ctx, "once")
	if err != nil {
		return err
	}
	n, err := b.startNode(ctx, "scale")
	if err != nil {
		return err
	}
	defer n.stop()
	if err := b.deploy(ctx, n, "scale", scaleManifest); err != nil {
		return err
	}
	c := n.caller("/scale")
	s, err := inTurns(ctx, b.turns(5), func() (float64, error) {
		if err := n.scaledDown(ctx, "scale"); err != nil {
			return 0, err
		}
		ends, begun := make(chan error, calls), time.Now()
		for range calls {
			go func() {
				_, err := c.call(ctx)
				ends <- err
			}()
		}
		var failed error
		for range calls {
			failed = errors.Join(failed, <-ends)
		}
		return milliseconds(time.Since(begun)), failed
	}, func() (float64, error) {
		begun := time.Now()
		for range calls {
			if _, _, err := forkExec([]string{once}, ""); err != nil {
				return 0, err
			}
		}
		return milliseconds(time.Since(begun)), nil
	})
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{Case: "0 to 100 instances, hundredth answer", Unit: "ms", Value: value, Yardstick: "100 x fork+exec", Of: of, Ratio: ratio})
	return nil
}

const liveManifest = `
name: live
code: web
entry: {type: http, command: [./web]}
resources: {memory: 64Mi}
scale: {min: 200, max: 200, freeze: 1s}
`

// liveRow: what a node needs for 200 instances that are idle: its own memory, against that of a node that has none, and all that is not the
// functions' own, for one of them, against what the function itself has.
func liveRow(ctx context.Context, b *bench) error {
	const instances = 200
	web, err := b.program(ctx, "web")
	if err != nil {
		return err
	}
	n, err := b.startNode(ctx, "live")
	if err != nil {
		return err
	}
	defer n.stop()
	empty, err := b.startNode(ctx, "lively")
	if err != nil {
		return err
	}
	defer empty.stop()
	if err := b.deploy(ctx, n, "live", liveManifest); err != nil {
		return err
	}
	if err := n.settled(ctx, "live", instances); err != nil {
		return err
	}
	if err := b.compareMemory(ctx, "node of 200 live instances", n, empty); err != nil {
		return err
	}
	before, err := n.cpuSeconds()
	if err != nil {
		return err
	}
	const look = 5 * time.Second
	if err := pause(ctx, look); err != nil {
		return err
	}
	after, err := n.cpuSeconds()
	if err != nil {
		return err
	}
	b.note("200 idle instances take the node %.1f %% of one CPU", (after-before)/look.Seconds()*100)
	own, err := proportional(filepath.Base(web))
	if err != nil {
		return err
	}
	all, err := proportional(filepath.Base(binary))
	if err != nil {
		return err
	}
	without, err := empty.residentMiB()
	if err != nil {
		return err
	}
	beyond := (sum(all[n.cmd.Process.Pid]) - without) / instances
	function := median(own[n.cmd.Process.Pid])
	if function == 0 {
		return errors.New("no instance of the function was found in /proc")
	}
	x := beyond / function
	b.add(line{Case: "one idle instance, beyond the function's own", Unit: "MiB", Value: beyond, Yardstick: "the function's own", Of: function, Ratio: spread{x, x, x}})
	return nil
}

// settled waits until a function has so many instances, none of which starts any more.
func (n *node) settled(ctx context.Context, fn string, most int) error {
	for {
		list, err := n.client.Instances(ctx, fn)
		if err != nil {
			return err
		}
		ready := 0
		for _, i := range list.Instances {
			if !i.Started.IsZero() {
				ready++
			}
		}
		if ready == most {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d instances of %s are ready: %w", ready, most, fn, err)
		}
	}
}

// proportional is the memory of the processes of a program, in MiB, by the process that all of them descend from. What several share is
// shared out among them. // proc_pid_smaps(5), Pss
func proportional(program string) (map[int][]float64, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	parents, sizes := map[int]int{}, map[int]float64{}
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir)) // the pattern has digits alone
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
				parents[pid], _ = strconv.Atoi(strings.TrimSpace(rest))
			}
		}
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if err != nil || filepath.Base(exe) != program {
			continue
		}
		rollup, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(rollup)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
				if err != nil {
					return nil, fmt.Errorf("read %s/smaps_rollup: %w", dir, err)
				}
				sizes[pid] = kb / 1024
			}
		}
	}
	by := map[int][]float64{}
	for pid, size := range sizes {
		for at := pid; at > 1; at = parents[at] {
			by[at] = append(by[at], size)
		}
	}
	return by, nil
}

func sum(xs []float64) (all float64) {
	for _, x := range xs {
		all += x
	}
	return all
}
