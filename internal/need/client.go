package need

import (
	"errors"
	"testing"

	"github.com/dalamb/dalamb/internal/need/client"
)

// RuntimeClient needs one of AWS's runtime clients and returns the code directory of the function that uses it. It is shared by all
// tests, and not to be changed.
func RuntimeClient(t testing.TB, c client.Client) string {
	t.Helper()
	dir, err := c.Find()
	if errors.Is(err, client.ErrNotHere) {
		missing(t, "AWS's runtime client for "+c.Language+": "+err.Error())
		return ""
	}
	if err != nil {
		t.Fatalf("look for the runtime client for %s: %v", c.Language, err)
	}
	return dir
}
