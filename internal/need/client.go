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
	return installed(t, c, "AWS's runtime client for "+c.Language)
}

// Extension needs a published extension and returns the code directory that it makes, without a function. It is shared by all tests, and
// not to be changed.
func Extension(t testing.TB, c client.Client) string {
	t.Helper()
	return installed(t, c, c.Language)
}

// Server needs a published server and returns the code directory of the function that it is. It is shared by all tests, and not to be
// changed.
func Server(t testing.TB, c client.Client) string {
	t.Helper()
	return installed(t, c, c.Language)
}

// Tools needs published tools, such as AWS's command line, and returns the directory that they are in. It is shared by all tests, and not to be
// changed.
func Tools(t testing.TB, c client.Client) string {
	t.Helper()
	return installed(t, c, c.Language)
}

func installed(t testing.TB, c client.Client, what string) string {
	t.Helper()
	dir, err := c.Find()
	if errors.Is(err, client.ErrNotHere) {
		missing(t, what+": "+err.Error())
		return ""
	}
	if err != nil {
		t.Fatalf("look for %s: %v", what, err)
	}
	return dir
}
