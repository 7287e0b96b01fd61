package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/dalamb/dalamb/internal/need"
)

// built is the program, as make package builds it.
func built(t *testing.T) *program {
	t.Helper()
	need.Linux(t)
	t.Chdir(root)
	p := &program{binary: filepath.Join(t.TempDir(), "dalamb"), version: "1.2.3", made: time.Unix(1_700_000_000, 0).UTC(), out: t.TempDir()}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s", "-o", p.binary, "./cmd/dalamb")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := p.find(t.Context(), p.made.Unix()); err != nil {
		t.Fatal(err)
	}
	return p
}

// inCopy runs a script in a copy of this machine's file system, of which nothing is left.
func inCopy(t *testing.T, script string, env ...string) string {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), need.Program(t, "unshare"), "--mount", "--pid", "--fork", "sh", "-ec", `
mount --make-rprivate /
mount -t tmpfs tmpfs `+dir+`
mkdir `+dir+`/upper `+dir+`/work `+dir+`/root
mount -t overlay -o lowerdir=/,upperdir=`+dir+`/upper,workdir=`+dir+`/work overlay `+dir+`/root
mount -t proc proc `+dir+`/root/proc
mount -t tmpfs tmpfs `+dir+`/root/tmp
mount --rbind /dev `+dir+`/root/dev
cp "$PACKAGE" `+dir+`/root/tmp/dalamb.deb
chroot `+dir+`/root sh -ec "$SCRIPT"`)
	cmd.Env = append(append(os.Environ(), "SCRIPT="+script, "DEBIAN_FRONTEND=noninteractive"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestTheDebianPackage(t *testing.T) {
	need.Program(t, "dpkg")
	need.Fetched(t, root, "go", "run", nfpm, "--version")
	p := built(t)
	at, err := p.deb(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lintian := need.Program(t, "lintian")
	if out, err := exec.CommandContext(t.Context(), lintian, "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", at).CombinedOutput(); err != nil || strings.Contains(string(out), "W: ") {
		t.Errorf("lintian: %v\n%s", err, out)
	}
	out := inCopy(t, `
exec 2>&1
dpkg --force-depends -i /tmp/dalamb.deb
stat -c 'state %U %a' /var/lib/dalamb
DALAMB_RUNNER=process setpriv --reuid dalamb --regid dalamb --clear-groups dalamb config check /etc/dalamb/config.yaml
setpriv --reuid dalamb --regid dalamb --clear-groups dalamb version
echo '# mine' >>/etc/dalamb/config.yaml
echo kept >/var/lib/dalamb/file
dpkg --force-depends -i /tmp/dalamb.deb
tail -1 /etc/dalamb/config.yaml
dpkg -r dalamb
test ! -e /usr/bin/dalamb
cat /var/lib/dalamb/file
tail -1 /etc/dalamb/config.yaml
dpkg -P dalamb
test ! -e /etc/dalamb/config.yaml
test ! -e /var/lib/dalamb
getent passwd dalamb || echo gone
`, "PACKAGE="+at)
	for _, want := range []string{"state dalamb 700", "ok: 2 settings other than the default: data, runner", "linux/" + p.arch, "# mine\n", "kept\n# mine\n", "gone\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("install, upgrade, removal and purge said\n%s\nwant %q in it", out, want)
		}
	}
}

func readImage(t *testing.T, at string) v1.Image {
	t.Helper()
	index, err := layout.ImageIndexFromPath(at)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil || len(list.Manifests) != 1 {
		t.Fatalf("the layout has %+v, %v; want one image", list, err)
	}
	img, err := index.Image(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// What is in the image runs in a runtime's container, as nobody, and answers.
func TestTheImage(t *testing.T) {
	runc := need.Program(t, "runc")
	curl := need.Program(t, "curl")
	need.Root(t)
	p := built(t)
	at, err := p.image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	img := readImage(t, at)
	first, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.image(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := readImage(t, at).Digest(); err != nil || again != first {
		t.Errorf("made again the image is %s, %v; want %s", again, err, first)
	}
	bundle := t.TempDir()
	rootfs := filepath.Join(bundle, "rootfs")
	if err := os.Mkdir(rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-p", "-C", rootfs)
	content := mutate.Extract(img)
	defer content.Close()
	unpack.Stdin = content
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, out)
	}
	spec := exec.CommandContext(t.Context(), runc, "spec")
	spec.Dir = bundle
	if out, err := spec.CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v\n%s", err, out)
	}
	adapt(t, filepath.Join(bundle, "config.json"), img)
	name := "dalamb-image-test-" + filepath.Base(filepath.Dir(bundle))
	run := exec.CommandContext(t.Context(), runc, "run", "--bundle", bundle, name)
	var said strings.Builder
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = exec.Command(runc, "kill", name, "KILL").Run() // gone already where it ended well
		_ = run.Wait()
		t.Logf("%s", said.String())
	}()
	// The container has no network but its own loopback: who asks enters it.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		var state struct{ PID int }
		text, _ := exec.CommandContext(t.Context(), runc, "state", name).Output() // of none as long as it is being made
		_ = json.Unmarshal(text, &state)
		out, err := exec.CommandContext(t.Context(), "nsenter", "--net", "--target", strconv.Itoa(state.PID), curl, "-sS", "--max-time", "5", "http://127.0.0.1:8080/_/health").CombinedOutput()
		if err == nil && strings.Contains(string(out), `"ok"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no answer: %v\n%s", err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), runc, "kill", name, "TERM").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := run.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}
