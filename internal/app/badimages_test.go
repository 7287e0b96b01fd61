package app_test

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/wire"
)

// foreign is a registry elsewhere, which asks for a password, and spoils the layers that it sends when the test says so.
type foreign struct {
	host  string
	spoil atomic.Pointer[func([]byte) []byte]
}

func serveForeign(t *testing.T, at netip.Addr) *foreign {
	t.Helper()
	f := &foreign{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "shop" || password != "sesame" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		spoil := f.spoil.Load()
		if spoil == nil || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			inner.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		inner.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		if answer.Code == http.StatusOK && !bytes.HasPrefix(body, []byte("{")) { // no config
			body = (*spoil)(body)
		}
		w.WriteHeader(answer.Code)
		w.Write(body)
	})}}
	s.Start()
	t.Cleanup(s.Close)
	f.host = l.Addr().String()
	return f
}

func (f *foreign) push(t *testing.T, repository string, img v1.Image) {
	t.Helper()
	ref, err := name.ParseReference(f.host+"/"+repository, name.Insecure)
	if err == nil {
		err = remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: "shop", Password: "sesame"}))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestARefusedImageChangesNothing: whatever a registry on another address does, the deploy says what and from where, and the version
// that is live goes on.
func TestARefusedImageChangesNothing(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	address := need.Address(t)
	r := serveForeign(t, address)
	r.push(t, "fn/speaker:1", speaker(t, "first"))
	r.push(t, "fn/speaker:2", speaker(t, "second"))
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	write := func(text string) {
		if err := os.WriteFile(password, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sesame")
	n := start(t, t.TempDir(), "runner=native", "registries=http://"+r.host+"?user=shop&password-file="+password)
	deploy := func(n *node, image string) error {
		m, err := function.ParseManifest("dalamb.yaml", []byte("name: speaker\nimage: "+image+"\nentry: {type: stdio}\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.client.Deploy(t.Context(), wire.DeployRequest{Spec: m.Functions[0].Spec})
		return err
	}
	if err := deploy(n, r.host+"/fn/speaker:1"); err != nil {
		t.Fatalf("deploy from an insecure registry at %s = %v", address, err)
	}
	n.speaks("speaker", "first")

	next := r.host + "/fn/speaker:2"
	half := func(b []byte) []byte { return b[:len(b)/2] }
	other := func(b []byte) []byte { return append(bytes.Clone(b[:len(b)-1]), b[len(b)-1]^1) }
	for _, tt := range []struct {
		name       string
		image      string
		spoil      func([]byte) []byte
		password   string
		says, hint []string
	}{
		{"a layer that ends too early", next, half, "sesame", []string{next, r.host, "layer 1 of 1"}, []string{"push the image again"}},
		{"a layer of other content", next, other, "sesame", []string{next, r.host, "layer 1 of 1"}, []string{"push the image again"}},
		{"a wrong password", next, nil, "open", []string{next, r.host, "does not give"}, []string{"docker login " + r.host, "registries"}},
		{"an image that is not there", r.host + "/fn/speaker:3", nil, "sesame", []string{"there is no image", r.host + "/fn/speaker:3"}, []string{"was it pushed?"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write(tt.password)
			defer write("sesame")
			if tt.spoil != nil {
				r.spoil.Store(&tt.spoil)
				defer r.spoil.Store(nil)
			}
			err := deploy(n, tt.image)
			if err == nil {
				t.Fatal("the deploy succeeded")
			}
			t.Log(err, "|", fault.HintOf(err))
			for _, want := range append([]string{"speaker"}, tt.says...) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the deploy says %q, want %q in it", err, want)
				}
			}
			for _, want := range tt.hint {
				if hint := fault.HintOf(err); strings.Count(hint, want) != 1 {
					t.Errorf("the hint is %q, want %q in it, once", hint, want)
				}
			}
			f, err := n.client.Function(t.Context(), "speaker")
			if err != nil || len(f.Versions) != 1 {
				t.Errorf("the function has %d versions, %v, want the one that was live", len(f.Versions), err)
			}
			out, err := n.client.Invoke(t.Context(), client.Invocation{Function: "speaker", Payload: []byte("{}")})
			if err != nil || !strings.Contains(string(out.Payload), "first") {
				t.Errorf("the live version answers %s, %v", out.Payload, err)
			}
			list, err := n.client.Images(t.Context())
			if err != nil || len(list.Images) != 1 {
				t.Errorf("images = %+v, %v, want that of the live version alone", list, err)
			}
		})
	}
	if err := deploy(n, next); err != nil {
		t.Fatalf("deploy of the whole image = %v", err)
	}
	n.speaks("speaker", "second")

	// A node that is not told so speaks TLS alone, but to addresses that no other machine has or that are private.
	if address.IsPrivate() {
		return
	}
	err := deploy(start(t, t.TempDir(), "runner=native"), next)
	if err == nil || !strings.Contains(err.Error(), "https://"+r.host) || !strings.Contains(fault.HintOf(err), "plain HTTP is named in the node's setting registries") {
		t.Errorf("deploy from a registry that speaks plain HTTP = %v (%s), want that it is named as such", err, fault.HintOf(err))
	}
}
