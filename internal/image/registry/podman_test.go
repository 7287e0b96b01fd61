package registry

import (
	"archive/tar"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
)

// podman is the client with a store of its own.
type podman struct {
	*harness
	program, home, host string
}

func newPodman(t *testing.T) *podman {
	t.Helper()
	need.Root(t) // else it needs user ids of its own for what it pulls
	p := &podman{program: need.Program(t, "podman"), harness: serve(t), home: t.TempDir()}
	p.host = strings.TrimPrefix(p.url, "http://")
	return p
}

// run wants it to succeed, or not to, and gives what it says.
func (p *podman) run(ok bool, args ...string) string {
	p.Helper()
	store := []string{"--root", filepath.Join(p.home, "root"), "--runroot", filepath.Join(p.home, "run"), "--storage-driver", "vfs", "--events-backend", "none"}
	c := exec.CommandContext(p.Context(), p.program, append(store, args...)...)
	c.Env = append(os.Environ(), "HOME="+p.home, "XDG_RUNTIME_DIR="+p.home) // where it has its credentials
	out, err := c.CombinedOutput()
	if (err == nil) != ok {
		p.Fatalf("podman %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// archived is a layout as one file.
func archived(t *testing.T, layout string) string {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	err := tw.AddFS(os.DirFS(layout))
	if err == nil {
		err = tw.Close()
	}
	file := filepath.Join(t.TempDir(), "layout.tar")
	if err == nil {
		err = os.WriteFile(file, b.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPodman(t *testing.T) {
	p := newPodman(t)
	to := p.host + "/fn/hello:1"
	p.run(true, "load", "-q", "-i", archived(t, layout(t, "hello")))
	p.run(true, "tag", strings.TrimSpace(p.run(true, "images", "-q")), to)

	if said := p.run(false, "push", "--tls-verify=false", to); !strings.Contains(said, "authentication required") && !strings.Contains(said, "the token is missing or wrong") {
		t.Errorf("without a token podman says:\n%s", said)
	}
	if said := p.run(false, "login", "--tls-verify=false", "-u", "me", "-p", "not the token", p.host); !strings.Contains(said, "invalid username/password") {
		t.Errorf("with a wrong token podman says:\n%s", said)
	}
	p.run(true, "login", "--tls-verify=false", "-u", "me", "-p", token, p.host)
	p.run(true, "push", "-q", "--tls-verify=false", to)
	first, err := p.Resolve("fn/hello", "1")
	if err != nil {
		t.Fatal(err)
	}
	// In Docker's form, under another tag.
	p.run(true, "push", "-q", "--tls-verify=false", "--format", "v2s2", to, p.host+"/fn/hello:docker")
	if m, err := p.Resolve("fn/hello", "docker"); err != nil || m.MediaType != typeDocker {
		t.Errorf("in Docker's form = %+v, %v", m, err)
	}
	if said := p.run(true, "search", "--list-tags", "--tls-verify=false", p.host+"/fn/hello"); !strings.Contains(said, " 1\n") || !strings.Contains(said, " docker\n") {
		t.Errorf("podman lists the tags\n%s", said)
	}

	// Back, by the tag and by the digest, into a store that has nothing.
	p.run(true, "rmi", "-a", "-f")
	for _, from := range []string{to, p.host + "/fn/hello@" + first.Digest} {
		p.run(true, "pull", "-q", "--tls-verify=false", from)
		if got := strings.TrimSpace(p.run(true, "image", "inspect", "--format", "{{.Digest}} {{.Config.Cmd}}", from)); got != first.Digest+" [/text]" {
			t.Errorf("pulled %s: %s, want %s [/text]", from, got, first.Digest)
		}
		p.run(true, "rmi", "-a", "-f")
	}

	// A list of images for several machines.
	p.run(true, "pull", "-q", "--tls-verify=false", to)
	p.run(true, "manifest", "create", "many", "containers-storage:"+to)
	p.run(true, "manifest", "push", "--all", "--tls-verify=false", "many", "docker://"+p.host+"/fn/many:1")
	if m, err := p.Resolve("fn/many", "1"); err != nil || m.MediaType != typeIndex && m.MediaType != typeDockerList {
		t.Errorf("the list = %+v, %v", m, err)
	}

	// podman deletes nothing in registries. What is deleted there, it does not find.
	p.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/fn/hello/manifests/1"})
	if said := p.run(false, "pull", "-q", "--tls-verify=false", to); !strings.Contains(said, "manifest unknown") && !strings.Contains(said, "there is no tag") {
		t.Errorf("of a tag that was deleted podman says:\n%s", said)
	}
	p.run(true, "logout", p.host)
	if said := p.run(false, "pull", "-q", "--tls-verify=false", p.host+"/fn/many:1"); !strings.Contains(said, "authentication required") && !strings.Contains(said, "the token is missing or wrong") {
		t.Errorf("after its log-out podman says:\n%s", said)
	}
}
