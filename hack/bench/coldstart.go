package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
	"github.com/dalamb/dalamb/internal/runner/oci"
	"github.com/dalamb/dalamb/internal/runner/process"
)

// program is what is started cold.
type program struct {
	name  string
	print []string // a command that prints at once
	web   []string // a command that serves HTTP
}

// coldTurns is how often each is started.
const coldTurns = 50

// coldStartRow: from nothing to a function's first byte of output by the runner alone, and to the answer of an HTTP function through
// the gateway, against fork and exec of the same program to the same point.
func coldStartRow(ctx context.Context, b *bench) error {
	programs, err := b.programs(ctx)
	if err != nil {
		return err
	}
	if err := b.coldByRunners(ctx, programs); err != nil {
		return err
	}
	return b.coldByGateway(ctx, programs)
}

// programs are the three kinds, as far as the machine has them. They are the same in a sandbox and outside of it.
func (b *bench) programs(ctx context.Context) ([]program, error) {
	for _, name := range []string{"once", "web"} {
		if _, err := b.program(ctx, name); err != nil {
			return nil, err
		}
	}
	all := []program{{"static Go", []string{"./once"}, []string{"./web"}}}
	scripts, err := filepath.Abs("hack/bench/testdata/web")
	if err != nil {
		return nil, err
	}
	for _, i := range []struct {
		name, flag, print, script string
	}{
		{"python3", "-Ic", "print('ready')", "web.py"},
		{"node", "-e", "console.log('ready')", "web.mjs"},
	} {
		file, ok := b.interpreter(i.name)
		if !ok {
			continue
		}
		if err := copyInto(filepath.Join(b.dir, "code", "web"), filepath.Join(scripts, i.script)); err != nil {
			return nil, err
		}
		all = append(all, program{i.name, []string{file, i.flag, i.print}, []string{file, i.script}})
	}
	return all, nil
}

// way is one of starting a program in a sandbox, to its first byte of output.
type way struct {
	name   string
	start  func(ctx context.Context, code string, command []string) (float64, error)
	target *target
	long   bool // it takes: it would make the turns of the others long
}

// coldByRunners starts sandboxes without a node, in every way that the machine has.
func (b *bench) coldByRunners(ctx context.Context, programs []program) error {
	ways, end, err := b.ways(ctx)
	defer end()
	if err != nil {
		return err
	}
	first := slices.IndexFunc(ways, func(w way) bool { return w.long })
	if first < 0 {
		first = len(ways)
	}
	for _, p := range programs {
		for _, some := range [][]way{ways[:first], ways[first:]} {
			if err := b.coldInTurns(ctx, p, some); err != nil {
				return err
			}
		}
	}
	return nil
}

// coldInTurns starts p plainly and in some ways.
func (b *bench) coldInTurns(ctx context.Context, p program, ways []way) error {
	if len(ways) == 0 {
		return nil
	}
	code := filepath.Join(b.dir, "code", "once")
	plain := slices.Clone(p.print)
	if plain[0] == "./once" {
		plain[0] = filepath.Join(code, "once")
	}
	things := []func() (float64, error){func() (float64, error) {
		if err := pause(ctx, settle); err != nil {
			return 0, err
		}
		first, _, err := forkExec(plain, "")
		return milliseconds(first), err
	}}
	for _, w := range ways {
		things = append(things, func() (float64, error) {
			if err := pause(ctx, settle); err != nil {
				return 0, err
			}
			return w.start(ctx, code, p.print)
		})
	}
	s, err := inTurns(ctx, b.turns(coldTurns), things...)
	if err != nil {
		return err
	}
	for i, w := range ways {
		value, of, ratio := s.against(i+1, 0)
		b.add(line{Case: p.name + ", " + w.name, Unit: "ms", Value: value, Yardstick: "fork+exec, first byte", Of: of, Ratio: ratio, Target: w.target})
	}
	return nil
}

// settle is the pause before each start: what the last one left ends, and spares, where there are any, have mostly come back.
const settle = 80 * time.Millisecond

// ways are the native runner with spares and without, dalamb's drivers of OCI runtimes, and the runtimes by themselves, the long ones
// last. Where the machine cannot fence, it is the runner that does not. end is to be called with an error too.
func (b *bench) ways(ctx context.Context) (ways []way, end func(), err error) {
	var runners []runner.Runner
	end = func() {
		for _, r := range runners {
			r.Close()
		}
	}
	add := func(w way, r runner.Runner) error {
		runners = append(runners, r)
		if _, err := r.Check(ctx); err != nil {
			return err
		}
		w.start = func(ctx context.Context, code string, command []string) (float64, error) {
			return firstByte(ctx, r, code, command)
		}
		ways = append(ways, w)
		return nil
	}
	for _, spare := range []int{0, -1} {
		w := way{name: "native runner, spare", target: ratioAtMost(1.5)}
		if spare < 0 {
			w = way{name: "native runner, no spare"}
		}
		r, err := native.New(native.Options{StateDir: filepath.Join(b.dir, fmt.Sprint("native", spare)), Spare: spare})
		if err != nil {
			return nil, end, err
		}
		if err := add(w, r); err != nil {
			b.note("this machine cannot fence functions (%v): measured with --runner process", err)
			p, err := process.New(process.Options{StateDir: filepath.Join(b.dir, "process")})
			if err == nil {
				err = add(way{name: "process runner"}, p)
			}
			return ways, end, err
		}
	}
	for _, runtime := range oci.Runtimes() {
		r, err := oci.New(oci.Options{Runtime: runtime, StateDir: filepath.Join(b.dir, "oci-"+runtime), Spare: -1})
		if err != nil {
			return nil, end, err
		}
		if err := add(way{name: r.Name() + " runner, no spare", long: true}, r); err != nil {
			b.note("skipped %s: %v", r.Name(), err)
			continue
		}
		c, err := b.runtimeBundle(runtime)
		if err != nil {
			return nil, end, err
		}
		ways = append(ways, way{name: runtime + " run", start: c.firstByte, long: true})
	}
	return ways, end, nil
}

// firstByte starts a sandbox and returns after how many milliseconds it had printed something.
func firstByte(ctx context.Context, r runner.Runner, code string, command []string) (float64, error) {
	first := make(chan time.Time, 1)
	begun := time.Now()
	sb, err := r.Start(ctx, runner.Spec{
		ID: "cold", Function: "cold", CodeDir: code, Base: "host", Network: "none", Command: command, Env: environment(),
		Memory: 256 << 20, CPU: 8, PIDs: 64, Tmp: 16 << 20, Listen: 9001,
		Stdout: func([]byte) {
			select {
			case first <- time.Now():
			default:
			}
		},
	})
	if err != nil {
		return 0, err
	}
	<-sb.Done()
	select {
	case at := <-first:
		return milliseconds(at.Sub(begun)), nil
	default:
		return 0, fmt.Errorf("%v printed nothing: %+v", command, sb.Exit())
	}
}

// coldByGateway calls a function whose instances end a millisecond after they have answered.
func (b *bench) coldByGateway(ctx context.Context, programs []program) error {
	n, err := b.startNode(ctx, "cold")
	if err != nil {
		return err
	}
	defer n.stop()
	for i, p := range programs {
		command, err := json.Marshal(p.web)
		if err != nil {
			return err
		}
		name := fmt.Sprint("cold-", i)
		if err := b.deploy(ctx, n, name, fmt.Sprintf(`
name: %s
code: web
entry: {type: http, command: %s}
resources: {memory: 256Mi, cpu: 8}
scale: {idle: 1ms}
triggers: [{name: call, route: {method: POST, path: /%[1]s}}]
`, name, command)); err != nil {
			return err
		}
		gateway := n.caller("/" + name)
		plain := append([]string(nil), p.web...)
		if last := len(plain) - 1; last > 0 || plain[0] == "./web" {
			plain[last] = filepath.Join(b.dir, "code", "web", plain[last])
		}
		s, err := inTurns(ctx, b.turns(coldTurns),
			func() (float64, error) { return coldCall(ctx, gateway) },
			func() (float64, error) { return coldServer(ctx, plain) })
		if err != nil {
			return err
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{Case: p.name + ", http call to a cold function", Unit: "ms", Value: value, Yardstick: "fork+exec, first answer", Of: of, Ratio: ratio, Target: ratioAtMost(4)})
	}
	return nil
}

// coldCall makes calls until one was answered by a program that was started for it.
func coldCall(ctx context.Context, c *caller) (float64, error) {
	for range 20 {
		if err := pause(ctx, 60*time.Millisecond); err != nil { // the last instance ends, and a spare comes back
			return 0, err
		}
		begun := time.Now()
		text, err := c.call(ctx)
		took := time.Since(begun)
		if err != nil {
			return 0, err
		}
		var answer struct{ Started int64 }
		if err := json.Unmarshal(text, &answer); err != nil {
			return 0, err
		}
		if time.Unix(0, answer.Started).After(begun) {
			return milliseconds(took), nil
		}
	}
	return 0, fmt.Errorf("%s is never cold", c.url)
}

// coldServer starts a program that serves, and calls it.
func coldServer(ctx context.Context, command []string) (float64, error) {
	begun := time.Now()
	url, p, err := plainServer(ctx, command...)
	if err != nil {
		return 0, err
	}
	_, err = newCaller(url).call(ctx)
	took := time.Since(begun)
	if stopErr := p.stop(); err == nil {
		err = stopErr
	}
	return milliseconds(took), err
}
