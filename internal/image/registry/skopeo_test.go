package registry

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
)

// layout makes an OCI image layout with one image of one layer, as any builder writes it.
func layout(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "text", Mode: 0o644, Size: int64(len(text))})
	if err == nil {
		_, err = tw.Write([]byte(text))
	}
	if err == nil {
		err = tw.Close()
	}
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Cmd":["/text"]},"rootfs":{"type":"layers","diff_ids":[%q]}}`, digestOf(layer.String()))
	m := manifestOf(t, config, []string{layer.String()}, nil)
	index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d,"annotations":{"org.opencontainers.image.ref.name":"1"}}]}`, typeManifest, digestOf(m), len(m))
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err == nil {
		err = os.MkdirAll(blobs, 0o755)
	}
	for path, content := range map[string]string{
		filepath.Join(dir, "oci-layout"):                                `{"imageLayoutVersion":"1.0.0"}`,
		filepath.Join(dir, "index.json"):                                index,
		filepath.Join(blobs, digestOf(m)[len("sha256:"):]):              m,
		filepath.Join(blobs, digestOf(config)[len("sha256:"):]):         config,
		filepath.Join(blobs, digestOf(layer.String())[len("sha256:"):]): layer.String(),
	} {
		if err == nil {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSkopeo(t *testing.T) {
	program := need.Program(t, "skopeo")
	h := serve(t)
	host := strings.TrimPrefix(h.url, "http://")
	home := t.TempDir()
	skopeo := func(ok bool, args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), program, args...)
		c.Env = append(os.Environ(), "HOME="+home, "REGISTRY_AUTH_FILE="+filepath.Join(home, "auth.json"), "XDG_RUNTIME_DIR="+home)
		out, err := c.CombinedOutput()
		if (err == nil) != ok {
			t.Fatalf("skopeo %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	from := "oci:" + layout(t, "hello") + ":1"
	to := "docker://" + host + "/fn/hello:1"

	if out := skopeo(false, "--insecure-policy", "copy", "--dest-tls-verify=false", from, to); !strings.Contains(out, "the token is missing or wrong") && !strings.Contains(out, "authentication required") {
		t.Errorf("without a token skopeo says:\n%s", out)
	}
	skopeo(false, "login", "--tls-verify=false", "-u", "me", "-p", "not the token", host)
	skopeo(true, "login", "--tls-verify=false", "-u", "me", "-p", token, host)
	skopeo(true, "--insecure-policy", "copy", "--dest-tls-verify=false", from, to)
	m, err := h.Resolve("fn/hello", "1")
	if err != nil {
		t.Fatal(err)
	}
	var seen struct {
		Digest string
		Layers []string
	}
	if err := json.Unmarshal([]byte(skopeo(true, "inspect", "--tls-verify=false", to)), &seen); err != nil || seen.Digest != m.Digest || len(seen.Layers) != 1 {
		t.Errorf("skopeo inspect = %+v, %v, want %s", seen, err, m.Digest)
	}
	// Another repository of the registry: its blobs are mounted.
	skopeo(true, "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", to, "docker://"+host+"/fn/copy:2")
	if got, err := h.Resolve("fn/copy", "2"); err != nil || got.Digest != m.Digest {
		t.Errorf("the copy = %+v, %v, want %s", got, err, m.Digest)
	}
	// In Docker's form, and back into a directory.
	skopeo(true, "--insecure-policy", "copy", "--format", "v2s2", "--src-tls-verify=false", "--dest-tls-verify=false", to, "docker://"+host+"/fn/docker:1")
	if got, err := h.Resolve("fn/docker", "1"); err != nil || got.MediaType != typeDocker {
		t.Errorf("in Docker's form = %+v, %v", got, err)
	}
	back := t.TempDir()
	skopeo(true, "--insecure-policy", "copy", "--src-tls-verify=false", to, "dir:"+back)
	if content, err := os.ReadFile(filepath.Join(back, "manifest.json")); err != nil || digestOf(string(content)) != m.Digest {
		t.Errorf("the pulled manifest is not the pushed one: %v", err)
	}
	if out := skopeo(true, "list-tags", "--tls-verify=false", "docker://"+host+"/fn/hello"); !strings.Contains(out, `"1"`) {
		t.Errorf("skopeo list-tags = %s", out)
	}
	skopeo(true, "delete", "--tls-verify=false", to)
	h.must(http.StatusNotFound, call{method: "GET", path: "/v2/fn/hello/manifests/1"})
}
