package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/wire"
)

// notify sends a notification of another registry's, in the form of Docker's registry, to the hook of that name.
func (n *node) notify(hook, token, id, repository, tag string) {
	n.t.Helper()
	body := fmt.Sprintf(`{"events": [{"id": %q, "action": "push", "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": %q, "tag": %q}}]}`, id, repository, tag)
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, n.gateway+"/_/hooks/registry/"+hook, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		n.t.Fatalf("the notification is answered with %s, want 202", resp.Status)
	}
}

// A function follows a tag in a registry that is not the node's own. What is pushed there runs as soon as that registry tells of it, and not before; a
// notification that comes twice, or tells of what did not happen, makes no version.
func TestANotificationOfAnotherRegistryIsANewVersion(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	t.Parallel()
	other := start(t, t.TempDir())
	info, err := other.client.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(other.token), 0o600); err != nil {
		t.Fatal(err)
	}
	other.pushImage("fn/speaker:stable", speaker(t, "first"))

	n := start(t, t.TempDir(), "runner=native", "registries=http://"+info.Control+"?user=me&password-file="+password)
	token, err := n.client.CreateToken(t.Context(), wire.TokenCreate{Name: "harbor"})
	if err != nil {
		t.Fatal(err)
	}
	n.deploy("", "name: speaker\nimage: "+info.Control+"/fn/speaker:stable\nfollow: true\nentry: {type: stdio}\n")
	n.says("speaker", "first")

	n.notify("harbor", token.Token, "0", "fn/speaker", "stable") // of a push that was not
	other.pushImage("fn/speaker:stable", speaker(t, "second"))
	n.notify("harbor", token.Token, "1", "fn/speaker", "stable")
	n.speaks("speaker", "second")
	n.notify("harbor", token.Token, "1", "fn/speaker", "stable")
	other.pushImage("fn/speaker:stable", speaker(t, "third"))
	n.notify("harbor", token.Token, "2", "fn/speaker", "stable")
	n.speaks("speaker", "third")
	if got := n.versions("speaker"); !slices.Equal(got, []int{3, 2, 1}) {
		t.Errorf("versions = %v, want one for each push", got)
	}
	n.stop()
}
