package need

import (
	"os"
	"testing"
)

// Buildah needs what makes images of Dockerfiles, where sandboxes see it.
func Buildah(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/buildah"); err != nil {
		missing(t, "buildah in /usr/bin")
	}
}
