package provision

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/need"
)

// origin is a registry that can be closed.
type origin struct {
	host string
	down atomic.Bool
	half atomic.Pointer[chan struct{}] // closed when a layer may be sent to its end; nil = all may
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{}
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if rest := o.half.Load(); rest != nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			body := answer.Body.Bytes()
			if !bytes.HasPrefix(body, []byte("{")) { // no config
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				w.Write(body[:len(body)/2])
				w.(http.Flusher).Flush()
				<-*rest
				body = body[len(body)/2:]
			}
			w.Write(body)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	o.host = strings.TrimPrefix(s.URL, "http://")
	return o
}

// layerOf is a layer of files.
func layerOf(t *testing.T, files map[string]string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for name, content := range files {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// push makes an image with a config and stores it.
func (o *origin) push(t *testing.T, ref string, config v1.Config, layers ...v1.Layer) string {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config = "linux", runtime.GOARCH, config
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	n, err := name.ParseReference(o.host + "/" + ref)
	if err == nil {
		err = remote.Write(n, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n.String()
}

// shared is a log that has nothing but what is put into it.
type shared struct {
	mu      sync.Mutex
	content map[string][]byte
}

func (s *shared) ShareContent(_ context.Context, digest string, open func() (io.ReadCloser, error)) (*function.Stored, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content[digest] = b
	return &function.Stored{ID: digest}, nil
}

func (s *shared) FetchContent(_ context.Context, digest string, _ function.Stored, put func(io.Reader) error) error {
	s.mu.Lock()
	b := s.content[digest]
	s.mu.Unlock()
	return put(bytes.NewReader(b))
}

// versions is a catalog with one version.
type versions struct{ v *function.Version }

func (v versions) Wanted() ([]*function.Version, <-chan struct{}) {
	return []*function.Version{v.v}, nil
}

type own struct{ hosts []string }

func (o own) Hosts() []string { return o.hosts }

func (o own) Resolve(string, string) (string, error) {
	return "", fault.New(fault.NotFound, "there is nothing")
}

func newKeeper(t *testing.T, s *shared, v *function.Version, ownHosts ...string) *Keeper {
	t.Helper()
	blobs, err := image.OpenBlobs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.OpenLayers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := pull.New(pull.Options{Blobs: blobs, Own: own{ownHosts}, Keychain: authn.NewMultiKeychain()})
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(Options{Puller: p, Blobs: blobs, Layers: layers, Share: s, Versions: versions{v}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func spec(ref string, entry function.Entry) *function.Spec {
	return &function.Spec{Name: "pay", Image: ref, Entry: entry}
}

func TestPrepareHonoursTheConfig(t *testing.T) {
	o := newOrigin(t)
	ref := o.push(t, "pay:1", v1.Config{
		Entrypoint: []string{"/run"}, Cmd: []string{"all"}, Env: []string{"A=1", "B=x=y"}, User: "web", WorkingDir: "/app/", StopSignal: "QUIT",
		ExposedPorts: map[string]struct{}{"9000/tcp": {}, "80/udp": {}, "7000": {}},
	}, layerOf(t, map[string]string{"etc/passwd": "root:x:0:0::/:\nweb:x:33:44::/:\n", "etc/group": "web:x:44:\nmail:x:8:web,other\n"}), layerOf(t, map[string]string{"app/x": "x"}))
	k := newKeeper(t, &shared{}, nil)
	s := spec(ref, function.Entry{Type: function.EntryHTTP})
	img, pulled, err := k.Prepare(t.Context(), s)
	if err != nil {
		t.Fatalf("Prepare = %v", err)
	}
	if want := []string{"/run", "all"}; !reflect.DeepEqual(s.Entry.Command, want) || s.Entry.Port != 7000 {
		t.Errorf("the entry is %+v, want the command %q and port 7000", s.Entry, want)
	}
	if len(pulled) != 2 || len(img.Layers) != 2 || img.Reference != ref || img.WorkDir != "/app" || img.Stop != "SIGQUIT" {
		t.Errorf("Prepare = %+v, pulled %d", img, len(pulled))
	}
	if want := (function.User{UID: 33, GID: 44, Groups: []uint32{8}}); !reflect.DeepEqual(img.User, want) {
		t.Errorf("user %+v, want %+v", img.User, want)
	}
	if want := []function.Var{{Name: "A", Value: "1"}, {Name: "B", Value: "x=y"}}; !reflect.DeepEqual(img.Env, want) {
		t.Errorf("environment %v, want %v", img.Env, want)
	}
	dirs, err := k.Root(img)
	if err != nil || len(dirs) != 2 {
		t.Fatalf("Root = %v, %v", dirs, err)
	}
	if _, err := os.Stat(dirs[1] + "/app/x"); err != nil {
		t.Errorf("the upper layer is not the last: %v", err)
	}
	// What the manifest says itself stands, and what is here is not pulled again, registry or not.
	mine := spec(img.Reference, function.Entry{Type: function.EntryHTTP, Command: []string{"mine"}, Port: 1})
	if _, again, err := k.Prepare(t.Context(), mine); err != nil || len(again) != 0 || mine.Entry.Command[0] != "mine" || mine.Entry.Port != 1 {
		t.Errorf("Prepare again = %d pulled, %v; entry %+v", len(again), err, mine.Entry)
	}
}

func TestPrepareRefuses(t *testing.T) {
	o := newOrigin(t)
	l := layerOf(t, map[string]string{"etc/passwd": "web:x:70000:1::/:\nbad:x:one:1::/:\n"})
	for user, want := range map[string]string{
		"nobody": `its user "nobody" is not in its /etc/passwd`, "0:none": `the group of its user "0:none" is not in its /etc/group`,
		"70000": "70000 is larger than 65535", "web": "70000 is larger", "bad": `"one" is no number`, "-1": "is not in its /etc/passwd",
	} {
		ref := o.push(t, "pay:1", v1.Config{Entrypoint: []string{"/run"}, User: user}, l)
		_, _, err := newKeeper(t, &shared{}, nil).Prepare(t.Context(), spec(ref, function.Entry{Type: function.EntryStdio}))
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
			t.Errorf("user %q: Prepare = %v, want %q and a hint", user, err, want)
		}
	}
	for what, c := range map[string]v1.Config{
		"has neither entrypoint nor cmd": {}, `stop signal "SIGNONE" is not known`: {Cmd: []string{"x"}, StopSignal: "SIGNONE"}, `variable "=x", which`: {Cmd: []string{"x"}, Env: []string{"=x"}},
	} {
		ref := o.push(t, "pay:1", c, l)
		_, _, err := newKeeper(t, &shared{}, nil).Prepare(t.Context(), spec(ref, function.Entry{Type: function.EntryStdio}))
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), what) || fault.HintOf(err) == "" {
			t.Errorf("Prepare = %v, want %q and a hint", err, what)
		}
	}
}

func TestAccountsAreThoseOfTheHighestLayer(t *testing.T) {
	o := newOrigin(t)
	low := layerOf(t, map[string]string{"etc/passwd": "web:x:1:1::/:\n"})
	for want, upper := range map[uint32]v1.Layer{2: layerOf(t, map[string]string{"etc/passwd": "web:x:2:2::/:\n"}), 1: layerOf(t, map[string]string{"etc/other": "x"})} {
		ref := o.push(t, "pay:1", v1.Config{Cmd: []string{"x"}, User: "web"}, low, upper)
		img, _, err := newKeeper(t, &shared{}, nil).Prepare(t.Context(), spec(ref, function.Entry{Type: function.EntryStdio}))
		if err != nil || img.User.UID != want {
			t.Errorf("Prepare = %+v, %v, want the user %d", img, err, want)
		}
	}
	need.Linux(t) // whiteouts are device files
	ref := o.push(t, "pay:1", v1.Config{Cmd: []string{"x"}, User: "web"}, low, layerOf(t, map[string]string{"etc/.wh.passwd": ""}))
	if _, _, err := newKeeper(t, &shared{}, nil).Prepare(t.Context(), spec(ref, function.Entry{Type: function.EntryStdio})); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Prepare = %v, want that a removed user is not there", err)
	}
}

func TestAnotherNodeBringsTheImage(t *testing.T) {
	for _, mode := range []string{"from the registry", "from the log"} {
		t.Run(mode, func(t *testing.T) {
			o, log := newOrigin(t), &shared{content: map[string][]byte{}}
			ref := o.push(t, "pay:1", v1.Config{Cmd: []string{"x"}}, layerOf(t, map[string]string{"a": "a"}), layerOf(t, map[string]string{"b": "b"}))
			first := newKeeper(t, log, nil)
			img, _, err := first.Prepare(t.Context(), spec(ref, function.Entry{Type: function.EntryStdio}))
			if err != nil {
				t.Fatal(err)
			}
			if mode == "from the log" {
				// As if the reference were to the first node's own registry.
				local := newKeeper(t, log, nil, o.host)
				local.o.Blobs = first.o.Blobs
				if err := local.Publish(t.Context(), img); err != nil {
					t.Fatal(err)
				}
				o.down.Store(true)
			}
			v := &function.Version{Number: 1, Image: img, Spec: function.Spec{Name: "pay"}}
			second := newKeeper(t, log, v)
			if _, err := second.Root(img); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "is not on this node yet") {
				t.Errorf("Root before = %v, want that it is not here yet", err)
			}
			if !second.bringFor(t.Context(), v) {
				t.Fatalf("something is missing: %v", second.Trouble(img))
			}
			if dirs, err := second.Root(img); err != nil || len(dirs) != 2 {
				t.Errorf("Root = %v, %v, want two directories", dirs, err)
			}
		})
	}
}

func TestANodeThatCannotBringTheImageSaysSo(t *testing.T) {
	o := newOrigin(t)
	ref := o.push(t, "pay:1", v1.Config{Cmd: []string{"x"}}, layerOf(t, map[string]string{"a": "a"}))
	img, _, err := newKeeper(t, &shared{}, nil).Prepare(t.Context(), spec(ref, function.Entry{Type: function.EntryStdio}))
	if err != nil {
		t.Fatal(err)
	}
	o.down.Store(true)
	v := &function.Version{Number: 1, Image: img, Spec: function.Spec{Name: "pay"}}
	k := newKeeper(t, &shared{}, v)
	if k.bringFor(t.Context(), v) {
		t.Error("it does not try again")
	}
	for what, err := range map[string]error{"Trouble": k.Trouble(img), "Root": func() error { _, err := k.Root(img); return err }()} {
		if err == nil || !strings.Contains(err.Error(), "answered 503") {
			t.Errorf("%s = %v, want what the registry said", what, err)
		}
	}
	o.down.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !k.bringFor(ctx, v) || k.Trouble(img) != nil {
		t.Errorf("with the registry back: %v", k.Trouble(img))
	}
}
