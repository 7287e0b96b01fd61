package need

import (
	"os/exec"
	"testing"
)

// Chromium needs a browser of that family, and returns where it is.
func Chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "program chromium")
	return ""
}
