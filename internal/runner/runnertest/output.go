package runnertest

import (
	"strconv"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (s *suite) output(t *testing.T) {
	r := s.runner(t)

	t.Run("all of it before Done", func(t *testing.T) {
		const n = 3_000_001
		b := start(t, r, s.spec(t, "print", itoa(n)))
		if e := b.end(); b.out.count()+e.Lost != n || e.Lost != 0 {
			t.Errorf("got %d bytes and lost %d, want %d and none", b.out.count(), e.Lost, n)
		}
	})

	t.Run("hundreds of megabytes", func(t *testing.T) { // which take a kernel of a sandbox's own seconds
		const n = 1 << 28
		b := start(t, r, s.spec(t, "print", itoa(n)))
		if e := b.end(); e.Code != 0 || b.out.count()+e.Lost != n {
			t.Errorf("exit %+v, got %d bytes; want code 0 and %d bytes, the lost ones included", e, b.out.count(), n)
		}
	})

	t.Run("a writer that is slow stops nobody", func(t *testing.T) {
		const n = 32 << 20
		spec := s.spec(t, "print", itoa(n))
		var got int64
		hold := make(chan struct{})
		spec.Stdout = func(p []byte) {
			<-hold // until the function has ended
			got += int64(len(p))
		}
		b := start(t, r, spec)
		eventually(t, "the function has printed all and ended", func() bool { return len(alive(t, spec)) == 0 })
		close(hold)
		if e := b.end(); e.Code != 0 || e.Lost == 0 || got+e.Lost != n {
			t.Errorf("exit %+v, got %d bytes; want code 0, and %d bytes, most of them lost", e, got, n)
		}
	})

	t.Run("a grandchild that holds it", func(t *testing.T) {
		b := start(t, r, s.spec(t, "orphan"))
		if e := b.end(); e.Code != 0 || b.out.String() != "ready\n" {
			t.Errorf("exit %+v, stdout %q; want code 0, ready", e, b.out.String())
		}
		if left := alive(t, b.spec); left != nil {
			t.Errorf("processes %v live after Done", left)
		}
	})
}
