package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
	"github.com/dalamb/dalamb/internal/runner/process"
)

// program is what is started cold.
type program struct {
	name    string
	print   []string // a command that prints at once
	web     []string // a command that serves HTTP
	samples int
}

// coldStartRow: from nothing to a function's first byte of output by the runner alone, and to the answer of an HTTP function through
// the gateway, against fork and exec of the same program to the same point.
func coldStartRow(ctx context.Context, b *bench) error {
	programs, err := b.programs(ctx)
	if err != nil {
		return err
	}
	for _, spare := range []bool{true, false} {
		if err := b.coldByRunner(ctx, programs, spare); err != nil {
			return err
		}
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
	all := []program{{"static Go", []string{"./once"}, []string{"./web"}, 40}}
	scripts, err := filepath.Abs("hack/bench/testdata/web")
	if err != nil {
		return nil, err
	}
	for _, i := range []struct {
		name, flag, print, script string
		samples                   int
	}{
		{"python3", "-Ic", "print('ready')", "web.py", 24},
		{"node", "-e", "console.log('ready')", "web.mjs", 16},
	} {
		file, ok := b.interpreter(i.name)
		if !ok {
			continue
		}
		if err := copyInto(filepath.Join(b.dir, "code", "web"), filepath.Join(scripts, i.script)); err != nil {
			return nil, err
		}
		all = append(all, program{i.name, []string{file, i.flag, i.print}, []string{file, i.script}, i.samples})
	}
	return all, nil
}

// coldByRunner starts sandboxes without a node. Between two starts a spare has the time to come back, where there are any.
func (b *bench) coldByRunner(ctx context.Context, programs []program, spare bool) error {
	r, with, err := b.runner(ctx, spare)
	if r == nil || err != nil {
		return err
	}
	defer r.Close()
	for _, p := range programs {
		code := filepath.Join(b.dir, "code", "once")
		s, err := inTurns(ctx, p.samples,
			func() (float64, error) {
				if err := pause(ctx, 40*time.Millisecond); err != nil {
					return 0, err
				}
				return firstByte(ctx, r, code, p.print)
			},
			func() (float64, error) {
				command := p.print
				if command[0] == "./once" {
					command = []string{filepath.Join(code, "once")}
				}
				first, _, err := forkExec(command, "")
				return milliseconds(first), err
			})
		if err != nil {
			return err
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{Case: p.name + ", " + with, Unit: "ms", Value: value, Yardstick: "fork+exec, first byte", Of: of, Ratio: ratio, Target: ratioAtMost(4)})
	}
	return nil
}

// runner is the native one, or where the machine cannot fence the one that does not; that one has no spares, and is measured once.
func (b *bench) runner(ctx context.Context, spare bool) (runner.Runner, string, error) {
	o, with := native.Options{StateDir: filepath.Join(b.dir, "native-no-spare"), Spare: -1}, "native runner, no spare"
	if spare {
		o, with = native.Options{StateDir: filepath.Join(b.dir, "native-spare")}, "native runner, spare"
	}
	r, err := native.New(o)
	if err != nil {
		return nil, "", err
	}
	_, err = r.Check(ctx)
	if err == nil {
		return r, with, nil
	}
	r.Close()
	if !spare {
		return nil, "", nil
	}
	b.note("this machine cannot fence functions (%v): measured with --runner process", err)
	p, err := process.New(process.Options{StateDir: filepath.Join(b.dir, "process")})
	return p, "process runner", err
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
		s, err := inTurns(ctx, p.samples/2,
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
