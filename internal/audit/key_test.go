package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

func TestALostKeyIsNotReplaced(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 20)
	r.sign()
	public := filepath.Join(r.keep.Dir, publicFile)
	before, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.keep.Dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		report, err := Verify(t.Context(), VerifyOptions{Log: r.log, Dir: r.keep.Dir})
		if err != nil {
			t.Fatal(err)
		}
		if f := report.Findings; len(f) != 1 || f[0].Kind != badCheckpoint || !strings.Contains(f[0].What, "is not there") {
			t.Errorf("findings = %+v, want one, of the key", f)
		}
	}
	r.again()
	if err := turn(t.Context(), r.keep); err != nil {
		t.Fatal(err)
	}
	if trouble := r.keep.State().Trouble; !strings.Contains(trouble, "is not there") {
		t.Errorf("trouble = %q, want that the key is not there", trouble)
	}
	if after, err := os.ReadFile(public); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the public key is %q (%v), and was %q", after, err, before)
	}
}
