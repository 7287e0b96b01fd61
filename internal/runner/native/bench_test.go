//go:build linux

package native

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
)

// BenchmarkColdStart measures from Start to the function's first byte, against fork and exec of the same program in the same
// minute; the ratio of the medians is what to look at. Spares are given the time to come back, as between cold starts of a
// node that is not flooded; "no spare" is the flood.
//
//	go test -run=^$ -bench=ColdStart -benchtime=40x ./internal/runner/native
func BenchmarkColdStart(b *testing.B) {
	fences(b)
	code := b.TempDir()
	build := exec.Command(need.Program(b, "go"), "build", "-o", filepath.Join(code, "fn"), "github.com/dalamb/dalamb/internal/runner/runnertest/testfn")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	for _, dir := range []string{filepath.Dir(filepath.Dir(code)), filepath.Dir(code), code} {
		if err := os.Chmod(dir, 0o755); err != nil {
			b.Logf("chmod: %v", err)
		}
	}
	for _, c := range []struct {
		name    string
		program string // looked for on this machine; "" = none
		command []string
	}{
		{"go", "", []string{"./fn", "exit", "0"}},
		{"python3", "/usr/bin/python3", []string{"/usr/bin/python3", "-Ic", "print('out')"}},
		{"node", "/usr/bin/node", []string{"/usr/bin/node", "-e", "console.log('out')"}},
	} {
		for name, spare := range map[string]int{"spare": 1, "no spare": -1} {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				if c.program != "" {
					need.Program(b, c.program)
				}
				compare(b, code, c.command, spare)
			})
		}
	}
	b.Run("go/no spare/100 MiB in the node", func(b *testing.B) {
		ballast := make([]byte, 100<<20)
		for i := 0; i < len(ballast); i += os.Getpagesize() {
			ballast[i] = 1
		}
		compare(b, code, []string{"./fn", "exit", "0"}, -1)
		runtime.KeepAlive(ballast)
	})
}

func compare(b *testing.B, code string, command []string, spare int) {
	r, err := New(Options{StateDir: b.TempDir(), Spare: spare})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Check(b.Context()); err != nil {
		b.Fatal(err)
	}
	var plain, cold, whole []time.Duration
	for b.Loop() {
		plain = append(plain, forkExec(b, code, command))
		r.spares.makers.Wait()
		first, done := coldStart(b, r, code, command)
		cold, whole = append(cold, first), append(whole, done)
	}
	b.ReportMetric(0, "ns/op") // of both together: means nothing
	p, c := median(plain), median(cold)
	b.ReportMetric(float64(p.Microseconds())/1000, "ms-fork+exec")
	b.ReportMetric(float64(c.Microseconds())/1000, "ms-cold")
	b.ReportMetric(float64(c)/float64(p), "ratio")
	b.ReportMetric(float64(median(whole).Microseconds())/1000, "ms-done")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func forkExec(b *testing.B, code string, command []string) time.Duration {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = code
	cmd.Env = []string{"PATH=" + runner.DefaultPath}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begin)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}

// coldStart returns how long the first byte took, and Done.
func coldStart(b *testing.B, r *Runner, code string, command []string) (cold, whole time.Duration) {
	first := make(chan time.Time, 1)
	begin := time.Now()
	sb, err := r.Start(b.Context(), runner.Spec{
		ID: "cold", Function: "cold", CodeDir: code, Base: "host", Network: "none", Command: command,
		Memory: 256 << 20, CPU: 1, PIDs: 64, Tmp: 16 << 20, Listen: 9001,
		Stdout: func([]byte) {
			select {
			case first <- time.Now():
			default:
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	<-sb.Done()
	whole = time.Since(begin)
	select {
	case at := <-first:
		return at.Sub(begin), whole
	default:
		b.Fatalf("%v printed nothing: %+v", command, sb.Exit())
		return 0, 0
	}
}
