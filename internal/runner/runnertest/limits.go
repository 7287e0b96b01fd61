package runnertest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

func (s *suite) limits(t *testing.T) {
	r := s.runner(t)

	t.Run("memory", func(t *testing.T) {
		spec := s.spec(t, "eat")
		spec.Memory = 64 << 20
		b := start(t, r, spec)
		if e := b.end(); !e.OOM || e.Signal != "SIGKILL" {
			t.Errorf("Exit = %+v, want OOM by SIGKILL; stderr %q", e, b.err.tail())
		}
		if peak := b.Usage().MemoryPeak; peak < 48<<20 || peak > 512<<20 {
			t.Errorf("Usage.MemoryPeak = %d MiB, want about 64", peak>>20)
		}
		spec = s.spec(t, "eat", "32")
		spec.Memory = 128 << 20
		if out := s.run(t, r, spec); out != "ate 32\n" {
			t.Errorf("printed %q, want to eat 32 MiB of 128", out)
		}
	})

	t.Run("processes", func(t *testing.T) {
		spec := s.spec(t, "forks")
		spec.PIDs, spec.Memory = 40, 2<<30
		b := start(t, r, spec)
		if !s.limited("pids") {
			if e := b.end(); e.Signal != "SIGKILL" || e.OOM || !strings.Contains(b.err.tail(), "limit 40") {
				t.Errorf("exit %+v, stderr %q; want SIGKILL and the limit named", e, b.err.tail())
			}
		} else {
			b.prints("\n")
			most, forked := spec.PIDs, 0
			if s.ability.Kernel {
				most *= 3 // gVisor's does not count those that died of it
			}
			if _, err := fmt.Sscanf(b.out.String(), "forked %d", &forked); err != nil || forked < 1 || forked >= most {
				t.Errorf("a function printed %q, %v; want to fork some, and less than %d", b.out.String(), err, most)
			}
			if n := len(alive(t, spec)); n < 2 || n > spec.PIDs {
				t.Errorf("%d processes live, want 2 to %d", n, spec.PIDs)
			}
			b.Stop(0)
		}
		if left := alive(t, spec); left != nil {
			t.Errorf("processes %v live after Done", left)
		}
	})

	t.Run("cpu", func(t *testing.T) {
		spec := s.spec(t, "burn", "600ms")
		spec.CPU = 0.25
		began := time.Now()
		b := start(t, r, spec)
		if e := b.end(); e.Code != 0 {
			t.Fatalf("exit %+v, stderr %q", e, b.err.tail())
		}
		wall := time.Since(began)
		ms, err := strconv.Atoi(b.out.String())
		if err != nil {
			t.Fatal(err)
		}
		saw, used := time.Duration(ms)*time.Millisecond, b.Usage().CPU
		if s.ability.Kernel {
			saw = used // its own kernel counts by ticks, and those in which it was held back too
		}
		if s.limited("cpu") && max(saw, used) > wall/4+250*time.Millisecond {
			t.Errorf("a quarter of a core gave %v of CPU, %v by the function's own account, in %v", used, saw, wall)
		}
		if used == 0 || used < saw/2 {
			t.Errorf("Usage.CPU = %v, want the %v that the function saw", used, saw)
		}
	})

	t.Run("files", func(t *testing.T) {
		if !s.limited("files") {
			return
		}
		spec := s.spec(t, "opens")
		spec.Files = 100
		n, err := strconv.Atoi(s.run(t, r, spec))
		if err != nil || n < 80 || n > 100 {
			t.Errorf("a function opened %d files, %v; want some less than its limit of 100", n, err)
		}
	})

	t.Run("strict", func(t *testing.T) {
		spec := s.spec(t, "exit", "0")
		spec.Strict = true
		if lacks := s.ability.Lacks(); len(lacks) > 0 {
			if _, err := r.Start(t.Context(), spec); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), lacks[0]) {
				t.Errorf("Start = %v, want an Unavailable fault that names %q", err, lacks)
			}
			return
		}
		if e := start(t, r, spec).end(); e != (runner.Exit{}) {
			t.Errorf("Exit = %+v, want code 0", e)
		}
	})

	t.Run("empty files", func(t *testing.T) {
		if !s.limited("tmp") {
			return
		}
		for _, dir := range []string{"/tmp", "/dev/shm"} {
			spec := s.spec(t)
			spec.Base, spec.Tmp = "host", 1<<20
			spec.Command = []string{"sh", "-c", "i=0; while [ $i -lt 5000 ] && true >" + dir + "/$i; do i=$((i+1)); done 2>/dev/null; echo $i"}
			out := strings.TrimSpace(s.run(t, r, spec))
			if n, err := strconv.Atoi(out); err != nil || n < 500 || n >= 5000 {
				t.Errorf("a %s of 1 MiB took %s empty files, want some more than a thousand", dir, out)
			}
		}
	})

	t.Run("tmp", func(t *testing.T) {
		spec := s.spec(t, "write", "$TMPDIR/file", "1000000")
		if s.ability.Isolated {
			spec.Command[2] = "/tmp/file"
		}
		if out := s.run(t, r, spec); out != "wrote" {
			t.Errorf("write to /tmp printed %q, want wrote", out)
		}
		if !s.limited("tmp") {
			return
		}
		spec = s.spec(t, "write", "/tmp/file", fmt.Sprint(8<<20))
		spec.Tmp = 4 << 20
		b := start(t, r, spec)
		if e := b.end(); e.Code != 1 || !strings.Contains(b.err.String(), "no space left on device") {
			t.Errorf("8 MiB into a /tmp of 4 MiB: exit %+v, stderr %q", e, b.err.String())
		}
	})
}
