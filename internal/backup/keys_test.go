package backup_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/backup"
	"github.com/dalamb/dalamb/internal/fault"
)

// TestKeysAreFoundWhereAWSToolsFindThem: each place in turn has those that are right, and those before it have none.
func TestKeysAreFoundWhereAWSToolsFindThem(t *testing.T) {
	at, _ := inBucket(t)
	key, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	dir, log := data(t)
	take(t, backup.Options{To: at, Data: dir, Log: log}) // from the environment
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	text := "aws_access_key_id = " + key + "\naws_secret_access_key = " + secret + "\n"
	asked := 0
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		json.NewEncoder(w).Encode(map[string]any{"AccessKeyId": key, "SecretAccessKey": secret, "Expiration": time.Now().Add(time.Hour)})
	}))
	defer role.Close()
	list := func(from string, change func(*backup.Access)) {
		t.Helper()
		here := at
		here.Access.FromEnv = false
		change(&here.Access)
		if all, err := backup.List(t.Context(), here); err != nil || len(all) != 1 {
			t.Errorf("List with keys from %s = %v, %v", from, all, err)
		}
	}
	own := filepath.Join(t.TempDir(), "keys")
	write(t, own, "[default]\n"+text)
	list("a file that is named", func(a *backup.Access) { a.Credentials = own })
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.URL)
	list("the role", func(a *backup.Access) { a.NoInstance = false })
	if asked != 1 {
		t.Errorf("the role was asked for %d times, want once", asked)
	}
	write(t, filepath.Join(home, ".aws", "credentials"), "[shop]\n"+text)
	list("a profile", func(a *backup.Access) { a.Profile = "shop" })
	none := at
	none.Access.FromEnv, none.Access.NoInstance, none.Access.Profile = false, false, "nobody"
	if _, err := backup.List(t.Context(), none); fault.KindOf(err) != fault.Invalid {
		t.Errorf("List with a profile that is not there = %v", err)
	}
	if asked != 1 {
		t.Error("the role was asked for where a profile is named")
	}
}
