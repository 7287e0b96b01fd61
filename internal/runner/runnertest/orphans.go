package runnertest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
)

// Orphans kills a node and removes its state directory, so that it has no successor: the next node on the machine, which has another one,
// removes what it left in the whole of it. It needs root, since what an ordinary user's node makes ends with its session.
func Orphans(t *testing.T, make New) {
	need.Root(t)
	s := &suite{make: make, code: Code(t)}
	state := filepath.Join(t.TempDir(), "state")
	s.killNode(t, state)
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	if len(traces(t, state)) == 0 {
		t.Fatal("the killed node left nothing: there is nothing to remove")
	}
	r := s.runner(t)
	if n, err := r.Recover(t.Context()); n != 0 || err != nil {
		t.Errorf("Recover = %d, %v; want 0, nil: they are not its own", n, err)
	}
	for _, path := range traces(t, state) {
		t.Errorf("%s is left", path)
	}
	for i := range nodeSandboxes {
		spec := s.spec(t)
		spec.ID = nodeID(i)
		if left := alive(t, spec); left != nil {
			t.Errorf("processes %v of the killed node live", left)
		}
	}
}

// traces lists what there is on the machine of the node of a state directory.
func traces(t *testing.T, state string) (all []string) {
	t.Helper()
	sum := sha256.Sum256([]byte(state))
	name := hex.EncodeToString(sum[:6])
	for _, pattern := range []string{"/sys/fs/cgroup/dalamb-", "/sys/fs/cgroup/*/dalamb-", "/sys/fs/cgroup/*/*/dalamb-", "/run/dalamb-oci-", "/run/dalamb/nodes/dalamb-"} {
		found, err := filepath.Glob(pattern + name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}
