package need

import (
	"errors"
	"testing"

	"github.com/dalamb/dalamb/internal/need/kubernetes"
)

// Kubernetes needs a Kubernetes API, and starts one of the test's own, which it may kill. It is closed when the test ends.
func Kubernetes(t testing.TB) *kubernetes.API {
	t.Helper()
	d, err := kubernetes.Find()
	if errors.Is(err, kubernetes.ErrNotHere) {
		missing(t, "a Kubernetes API: "+err.Error())
		return nil
	}
	if err != nil {
		t.Fatalf("look for Kubernetes: %v", err)
	}
	a, err := kubernetes.Start(t.Context(), d)
	if err != nil {
		t.Fatalf("start a Kubernetes API: %v", err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("stop the Kubernetes API: %v", err)
		}
	})
	return a
}
