package need

import "testing"

// recorder stands for a test that lacks something.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()                        {}
func (r *recorder) Skipf(format string, a ...any)  { r.skipped = format }
func (r *recorder) Fatalf(format string, a ...any) { r.failed = format }

func TestMissingSkipsByNameOrFails(t *testing.T) {
	t.Setenv("DALAMB_NO_SKIP", "")
	r := &recorder{TB: t}
	Program(r, "no-such-program-on-any-machine")
	if r.skipped == "" || r.failed != "" {
		t.Errorf("without DALAMB_NO_SKIP: skipped %q, failed %q; want a skip alone", r.skipped, r.failed)
	}
	t.Setenv("DALAMB_NO_SKIP", "1")
	r = &recorder{TB: t}
	That(r, false, "the impossible")
	if r.failed == "" || r.skipped != "" {
		t.Errorf("with DALAMB_NO_SKIP=1: skipped %q, failed %q; want a failure alone", r.skipped, r.failed)
	}
	t.Run("Kubernetes without etcd", func(t *testing.T) {
		t.Setenv("PATH", "")
		r := &recorder{TB: t}
		Kubernetes(r)
		if r.failed == "" || r.skipped != "" {
			t.Errorf("without etcd: skipped %q, failed %q; want a failure alone", r.skipped, r.failed)
		}
	})
	t.Setenv("DALAMB_WITHOUT", "kafka")
	r = &recorder{TB: t}
	Kafka(r)
	if r.skipped == "" || r.failed != "" {
		t.Errorf("with DALAMB_WITHOUT=kafka: skipped %q, failed %q; want a skip alone", r.skipped, r.failed)
	}
	r = &recorder{TB: t}
	That(r, true, "nothing")
	if r.failed != "" || r.skipped != "" {
		t.Error("a need that is met must neither skip nor fail")
	}
}
