package build

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/image/registry"
	"github.com/dalamb/dalamb/internal/need"
)

const registryToken = "the registry's"

// dock has what images are built with: a registry on the loopback of the machine, which only the node may ask, with the image
// base/busybox:1 in it.
type dock struct {
	*bench
	host    string
	puller  *pull.Puller
	own     *registry.Registry
	secrets map[string]string
	base    string // digest of base/busybox:1
}

func (d *dock) Manifest(ctx context.Context, ref string) (*Manifest, error) {
	raw, mediaType, digest, err := d.puller.Manifest(ctx, ref)
	return &Manifest{raw, mediaType, digest}, err
}

func (d *dock) Content(ctx context.Context, ref, digest string, bytes int64) (io.ReadCloser, error) {
	return d.puller.Content(ctx, pull.Content{Reference: ref, Digest: digest, Bytes: bytes})
}

func (d *dock) Put(ctx context.Context, layout, function string) (string, error) {
	f, err := pull.OpenFile(layout)
	if err != nil {
		return "", err
	}
	defer f.Close()
	f.Transport = registry.Direct{Registry: d.own}
	return f.Push(ctx, "http://"+pull.OwnHost, registryToken, pull.Sent+function)
}

func (d *dock) Place(ref string) (string, string, error) { return pull.Place(ref) }

func (d *dock) Secret(name string) ([]byte, error) {
	if text, ok := d.secrets[name]; ok {
		return []byte(text), nil
	}
	return nil, fault.New(fault.NotFound, "there is no secret %q", name).WithHint("dalamb secret set %s", name)
}

// Resolve and Hosts implement pull.Own.
func (d *dock) Resolve(repository, reference string) (string, error) {
	m, err := d.own.Resolve(repository, reference)
	return m.Digest, err
}

func (d *dock) Hosts() []string { return []string{pull.OwnHost} }

func openRegistry(t *testing.T) (*registry.Registry, *image.Blobs) {
	t.Helper()
	dir := t.TempDir()
	blobs, err := image.OpenBlobs(filepath.Join(dir, "content"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(registry.Options{Dir: filepath.Join(dir, "registry"), Blobs: blobs, Who: func(token string) (access.Actor, error) {
		if token != registryToken {
			return access.Actor{}, fault.New(fault.Unauthenticated, "the token is missing or wrong")
		}
		return access.Own(), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r, blobs
}

func newDock(t *testing.T, o Options) *dock {
	t.Helper()
	need.Buildah(t)
	d := &dock{secrets: map[string]string{"npm-token": "s3cret-of-npm\n"}}
	far, _ := openRegistry(t)
	server := httptest.NewServer(far)
	t.Cleanup(server.Close)
	d.host = strings.TrimPrefix(server.URL, "http://")
	var blobs *image.Blobs
	d.own, blobs = openRegistry(t)
	var err error
	d.puller, err = pull.New(pull.Options{Blobs: blobs, Own: d, Registries: []pull.Registry{
		{Host: d.host, Insecure: true, User: "x", Password: func() (string, error) { return registryToken, nil }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	o.Images, o.Secrets = d, d
	d.bench = newBench(t, o)
	d.pushBase(t)
	return d
}

// pushBase pushes an image with busybox.
func (d *dock) pushBase(t *testing.T) {
	t.Helper()
	program, err := os.ReadFile(need.Program(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	for _, h := range []*tar.Header{
		{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))},
		{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "busybox"}, {Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
		{Name: "home/user/", Typeflag: tar.TypeDir, Mode: 0o755, Uid: 1234, Gid: 1234},
	} {
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := tw.Write(program); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(d.host+"/base/busybox:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: "x", Password: registryToken})); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	d.base = digest.String()
}

// recipe is a build of a Dockerfile that reaches nothing.
func recipe() function.Build {
	return function.Build{Type: function.BuildDockerfile, Network: function.NetworkNone, Timeout: function.BuildTimeout}
}

// build builds a Dockerfile, with FROM BASE for the image that there is.
func (d *dock) build(t *testing.T, r Request, dockerfile string) (*Result, string, error) {
	t.Helper()
	r.Dir = source(t, map[string]string{"Dockerfile": strings.ReplaceAll(dockerfile, "BASE", d.host+"/base/busybox:1"), "main.txt": "source"})
	var out bytes.Buffer
	r.Out, r.Function = &out, "pay"
	if r.Scope == "" {
		r.Scope = t.Name()
	}
	result, err := d.Run(t.Context(), r)
	return result, out.String(), err
}

// TestAPlatformIsKnown names its image by the arguments that nobody has to give.
func TestAPlatformIsKnown(t *testing.T) {
	d := newDock(t, Options{})
	_, said, err := d.build(t, Request{Build: recipe()}, strings.ReplaceAll("ARG TARGETARCH\nFROM BASE\nARG TARGETARCH\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo for $TARGETARCH\"]\n", "BASE", d.host+"/base/${TARGETARCH:+busybox}:1"))
	if err != nil || !strings.Contains(said, "for "+runtime.GOARCH+"\n") {
		t.Errorf("Run = %v, want an image for %s; the build said\n%s", err, runtime.GOARCH, said)
	}
}

func TestADockerfileMakesAnImage(t *testing.T) {
	d := newDock(t, Options{})
	b := recipe()
	b.Args, b.Secrets = map[string]string{"GREETING": "hello you"}, []string{"npm-token"}
	const dockerfile = `ARG GREETING
FROM BASE AS made
ARG GREETING
COPY main.txt /src/
RUN --mount=type=secret,id=npm-token test "$(busybox wc -c </run/secrets/npm-token)" = 14 && busybox cat /run/secrets/npm-token
RUN echo "$GREETING" > /greeting && busybox chown 77:78 /greeting && busybox rm -r /home && busybox id -u

FROM scratch
COPY --from=made / /
COPY --from=BASE /bin/busybox /again
USER 33:44
WORKDIR /srv
ENV A=b
EXPOSE 9090
ENTRYPOINT ["/bin/sh"]
`
	r, said, err := d.build(t, Request{Build: b}, dockerfile)
	if err != nil {
		t.Fatalf("Run: %v\n%s", err, said)
	}
	if r.Image != pull.OwnHost+"/deploy/pay@"+r.Code || r.Built.Builder != "dockerfile" || !strings.HasPrefix(r.Built.Toolchain, "buildah version ") {
		t.Errorf("Run = %+v, %+v", r, r.Built)
	}
	want := []function.Base{{Reference: d.host + "/base/busybox:1", Digest: d.base}}
	if !slices.Equal(r.Built.Bases, want) {
		t.Errorf("it was built on %+v, want %+v", r.Built.Bases, want)
	}
	img, err := d.puller.Resolve(t.Context(), r.Image)
	if err != nil {
		t.Fatal(err)
	}
	c := img.Config
	if c.User != "33:44" || c.WorkingDir != "/srv" || !slices.Contains(c.Env, "A=b") || len(c.ExposedPorts) != 1 || !slices.Equal(c.Entrypoint, []string{"/bin/sh"}) {
		t.Errorf("the image's config is %+v", c)
	}
	if _, err := d.Built(r.Built.ID, r.Code); err != nil {
		t.Errorf("Built = %v", err)
	}
	if !strings.Contains(string(statementOf(t, r)), d.base[len("sha256:"):]) {
		t.Errorf("the provenance does not name the base image: %s", statementOf(t, r))
	}
	if !strings.Contains(said, "[secret]") {
		t.Errorf("the build said %s, want its secret hidden", said)
	}
	nowhere(t, filepath.Dir(filepath.Dir(d.dir)), "s3cret-of-npm") // in all directories of this test
	again, said, err := d.build(t, Request{Build: b}, dockerfile)
	if err != nil || again.Code != r.Code || !strings.Contains(said, "Using cache") {
		t.Errorf("the second build made %+v, %v; want %s, of what the first has kept\n%s", again, err, r.Code, said)
	}
	other, said, err := d.build(t, Request{Build: b, Scope: "another"}, dockerfile)
	if err != nil || other.Code != r.Code || strings.Contains(said, "Using cache") {
		t.Errorf("a build of another scope made %+v, %v; want %s, made anew\n%s", other, err, r.Code, said)
	}
}

// What a RUN keeps for the next build of the scope is there, though the layers are made anew, and elsewhere it is not. Its secret is in no file while it runs.
func TestWhatRunsKeep(t *testing.T) {
	d := newDock(t, Options{})
	b := recipe()
	b.Secrets = []string{"npm-token"}
	for i, scope := range []string{"a", "a", "b"} {
		begun := make(chan struct{})
		dir := source(t, map[string]string{"Dockerfile": strings.NewReplacer("BASE", d.host+"/base/busybox:1", "#", strconv.Itoa(i)).Replace(
			"FROM BASE\nRUN --mount=type=secret,id=npm-token --mount=type=cache,target=/kept echo run #; busybox ls /kept; busybox touch /kept/file#; echo looked; busybox sleep 1\n")})
		var out bytes.Buffer
		done := make(chan error, 1)
		go func() {
			_, err := d.Run(t.Context(), Request{Dir: dir, Build: b, Scope: scope, Function: "pay", Out: io.MultiWriter(&out, onLine("looked", begun))})
			done <- err
		}()
		select {
		case <-begun:
			nowhere(t, d.dir, "s3cret-of-npm")
		case err := <-done:
			t.Fatalf("Run = %v\n%s", err, &out)
		}
		if err := <-done; err != nil {
			t.Fatalf("Run = %v\n%s", err, &out)
		}
		if found := strings.Contains(out.String(), "file0\n"); found != (i == 1) {
			t.Errorf("build %d, of scope %s: it finds what the first has kept: %v\n%s", i, scope, found, &out)
		}
	}
}

// statementOf is what is signed of a build.
func statementOf(t *testing.T, r *Result) []byte {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(r.Built.Provenance, &e); err != nil {
		t.Fatal(err)
	}
	return e.Payload
}

// nowhere looks for a text in all files.
func nowhere(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, de os.DirEntry, err error) error {
		if err != nil || !de.Type().IsRegular() {
			return nil // it has gone meanwhile
		}
		content, _ := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			t.Errorf("%s has %q in it", path, text)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What is wrong with a Dockerfile, or what it does, ends with a message, and with no image.
func TestDockerfilesThatGoWrong(t *testing.T) {
	d := newDock(t, Options{Limits: Limits{Memory: 256 << 20, Disk: 64 << 20, PIDs: 96}})
	quick := recipe()
	quick.Timeout = function.Duration(4 * time.Second)
	secret, stage, elsewhere := recipe(), recipe(), recipe()
	secret.Secrets, stage.Target, elsewhere.File = []string{"other"}, "nono", "docker/Dockerfile"
	for name, c := range map[string]struct {
		build      function.Build
		dockerfile string
		kind       fault.Kind
		says       string // of error, hint and log
	}{
		"unknown instruction":    {recipe(), "FROM BASE\n\nRUM true\n", fault.Invalid, `Dockerfile:3: unknown instruction RUM; did you mean RUN?`},
		"no FROM":                {recipe(), "# nothing\n", fault.Invalid, "Dockerfile has no FROM"},
		"unbalanced quotes":      {recipe(), "FROM BASE\nCOPY \"main.txt /x\n", fault.Invalid, "while looking for matching double-quote"},
		"a base that is not":     {recipe(), "FROM " + d.host + "/base/none:1\n", fault.Invalid, "base/none:1"},
		"a registry that is not": {recipe(), "FROM 127.0.0.1:1/none:1\n", fault.Unavailable, "127.0.0.1:1"},
		"an image that it does not name": {recipe(), "FROM BASE\nONBUILD COPY --from=" + d.host + "/other:1 / /\nCOPY --from=$X / /\n", fault.Invalid,
			"Dockerfile:3: the image $X has an argument without a value"},
		"RUN fails":           {recipe(), "FROM BASE\nRUN echo so it is; exit 7\n", fault.Invalid, "so it is"},
		"RUN fails with code": {recipe(), "FROM BASE\nRUN exit 7\n", fault.Invalid, "the build failed: buildah (exit code 7)"},
		"RUN hangs":           {quick, "FROM BASE\nRUN busybox sleep 1000\n", fault.Timeout, "not done within 4s"},
		"RUN fills the disk":  {recipe(), "FROM BASE\nRUN while :; do busybox head -c 1000000 /dev/zero >> /big; done\n", fault.Invalid, "wrote more than 64Mi"},
		"RUN takes memory":    {recipe(), "FROM BASE\nRUN busybox head -c 900000000 /dev/zero | busybox tail -c 800000000 >/dev/null\n", fault.Invalid, "more memory than 256Mi"},
		"COPY out of it":      {recipe(), "FROM BASE\nCOPY ../../etc/passwd /x\n", fault.Invalid, "COPY ../../etc/passwd"},
		"COPY of nothing":     {recipe(), "FROM BASE\nCOPY nothing /x\n", fault.Invalid, "COPY nothing"},
		"a secret not there":  {secret, "FROM BASE\n", fault.Invalid, `build.secrets: there is no secret "other"; dalamb secret set other`},
		"a stage not there":   {stage, "FROM BASE\n", fault.Invalid, "nono"},
		"a file not there":    {elsewhere, "FROM BASE\n", fault.Invalid, `build.file: "docker/Dockerfile" is not in the code`},
		"the machine's files": {recipe(), "FROM BASE\nRUN busybox cat /etc/shadow /proc/1/environ /proc/kcore && echo seen\n", fault.Invalid, "the build failed"},
		"the network":         {recipe(), "FROM BASE\nRUN busybox wget -O- http://" + d.host + "/v2/\n", fault.Invalid, "the build failed"},
		"a mount":             {recipe(), "FROM BASE\nRUN busybox mount -t tmpfs x /tmp\n", fault.Invalid, "the build failed"},
	} {
		t.Run(name, func(t *testing.T) {
			r, said, err := d.build(t, Request{Build: c.build}, c.dockerfile)
			if err == nil {
				t.Fatalf("Run = %+v, want an error; it said\n%s", r, said)
			}
			if got := err.Error() + "; " + fault.HintOf(err) + "\n" + said; fault.KindOf(err) != c.kind || !strings.Contains(got, c.says) {
				t.Errorf("Run = %v fault that says\n%s\nwant a %v fault that says %q", fault.KindOf(err), got, c.kind, c.says)
			}
		})
	}
}

func TestWhatIsNoImageIsNotReadAsOne(t *testing.T) {
	const manifest = "blobs/sha256/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	const config = "blobs/sha256/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	whole := map[string]string{
		"index.json": `{"manifests":[{"digest":"sha256:` + filepath.Base(manifest) + `"}]}`, manifest: `{"config":{"digest":"sha256:` + filepath.Base(config) + `"}}`, config: `{}`,
	}
	if err := checkLayout(source(t, whole)); err != nil {
		t.Errorf("checkLayout of a whole one = %v", err)
	}
	for name, change := range map[string]func(dir string) error{
		"a link": func(dir string) error { return os.Symlink("/etc/hostname", filepath.Join(dir, "x")) },
		"a link for the index": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "index.json")), os.Symlink("/etc/hostname", filepath.Join(dir, "index.json")))
		},
		"no index":         func(dir string) error { return os.Remove(filepath.Join(dir, "index.json")) },
		"a large manifest": func(dir string) error { return os.Truncate(filepath.Join(dir, manifest), maxPart+1) },
		"a large config":   func(dir string) error { return os.Truncate(filepath.Join(dir, config), maxPart+1) },
		"no JSON":          func(dir string) error { return os.WriteFile(filepath.Join(dir, manifest), []byte("x"), 0o600) },
		"two images": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"manifests":[{},{}]}`), 0o600)
		},
		"a digest that is none": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"manifests":[{"digest":"x:../../index.json"}]}`), 0o600)
		},
		"nothing": func(dir string) error { return os.RemoveAll(dir) },
	} {
		dir := source(t, whole)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		if err := checkLayout(dir); fault.KindOf(err) != fault.Invalid {
			t.Errorf("checkLayout of %s = %v, want an Invalid fault", name, err)
		}
	}
}

func TestWithoutBuildahTheRemedyIsSaid(t *testing.T) {
	err := new(Builds).check(&plan{name: "buildah", needs: []string{"no-such-buildah"}, image: &imageBuild{}})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.HintOf(err), "apt-get install no-such-buildah") {
		t.Errorf("without it the error is %v (%s)", err, fault.HintOf(err))
	}
}
