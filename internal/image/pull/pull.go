// Package pull finds container images: in registries, in the node's own registry, and in files; and brings their content here. It
// does not unpack layers (image.Layers does) and does not know which function wants what.
package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/dalamb/dalamb/internal/image"
)

// OwnHost is what references may call the node's own registry by, whichever node that is.
const OwnHost = "dalamb.internal"

// Sent is what the repositories of the own registry begin with that deploys send images to, one for each function. What nobody has
// tagged there goes when no version needs it.
const Sent = "deploy/"

// Registry says how a registry is spoken to, where it is not as all others.
type Registry struct {
	Host     string // host or host:port, as in references; docker.io for Docker Hub
	Insecure bool   // by plain HTTP
	Mirror   string // host[:port] that is asked first; "" = none
	User     string // "" = what Docker's configuration says
	Password func() (string, error)
}

// Own is the node's own registry.
type Own interface {
	// Resolve gives the digest that a tag or digest names in a repository.
	Resolve(repository, reference string) (digest string, err error)
	// Hosts are the names that references may call it by.
	Hosts() []string
}

// Options of New.
type Options struct {
	Blobs      *image.Blobs // what was brought, and what the own registry has
	Own        Own          // nil = none
	Registries []Registry
	Keychain   authn.Keychain    // credentials of the other registries; nil = Docker's configuration of who runs the node
	Transport  http.RoundTripper // nil = one with time-outs
	Arch       string            // "" = this machine's
}

// Puller brings images. Safe for concurrent use.
type Puller struct{ o Options }

// New checks the options.
func New(o Options) (*Puller, error) {
	if o.Blobs == nil {
		return nil, errors.New("pull needs a store of content")
	}
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.Arch == "" {
		o.Arch = runtime.GOARCH
	}
	if o.Transport == nil {
		t := remote.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = 30 * time.Second
		o.Transport = t
	}
	o.Transport = resuming{o.Transport}
	return &Puller{o}, nil
}

// Layer is one layer of an image.
type Layer struct {
	Digest, DiffID string
	Bytes          int64 // as it is sent
}

// Image is what a reference names, for this machine's platform.
type Image struct {
	Reference string // as it was written
	Digest    string // of the manifest
	Layers    []Layer
	Config    v1.Config
}

// place is where the content of a reference is.
type place struct {
	name.Reference
	own  bool
	from []Registry // to be asked in this order; of one that is own nothing
}

// locate reads a reference.
func (p *Puller) locate(ref string) (*place, error) {
	r, err := name.ParseReference(ref)
	if err == nil && strings.HasPrefix(ref, ".") { // the name of a file
		err = errors.New("a registry's name does not begin so")
	}
	if err != nil {
		return nil, badReference(ref, err)
	}
	host := r.Context().RegistryStr()
	at := &place{Reference: r}
	if p.o.Own != nil && slices.Contains(p.o.Own.Hosts(), host) {
		at.own = true
		return at, nil
	}
	settings := Registry{Host: host}
	for _, s := range p.o.Registries {
		if s.Host == host || s.Host == "docker.io" && host == name.DefaultRegistry {
			settings = s
		}
	}
	if settings.Mirror != "" {
		mirror := Registry{Host: settings.Mirror}
		for _, s := range p.o.Registries {
			if s.Host == settings.Mirror {
				mirror = s
			}
		}
		at.from = append(at.from, mirror)
	}
	settings.Host = host
	at.from = append(at.from, settings)
	return at, nil
}

// Local says whether a reference is to the node's own registry: no other node can ask for it.
func (p *Puller) Local(ref string) bool {
	at, err := p.locate(ref)
	return err == nil && at.own
}

// in is the repository of the reference in one of the registries that have it.
func (at *place) in(r Registry) (name.Repository, error) {
	var o []name.Option
	if r.Insecure {
		o = append(o, name.Insecure)
	}
	return name.NewRepository(r.Host+"/"+at.Context().RepositoryStr(), o...)
}

// named is a tag or a digest in a repository.
func named(repo name.Repository, ref name.Reference, digest string) name.Reference {
	if digest == "" {
		digest = ref.Identifier()
	}
	if _, err := v1.NewHash(digest); err == nil {
		return repo.Digest(digest)
	}
	return repo.Tag(digest)
}

func (p *Puller) options(ctx context.Context, r Registry) ([]remote.Option, error) {
	o := []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(p.o.Transport), remote.WithUserAgent("dalamb"),
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 3}),
	}
	if r.User == "" {
		return append(o, remote.WithAuthFromKeychain(p.o.Keychain)), nil
	}
	password, err := r.Password()
	if err != nil {
		return nil, fmt.Errorf("read the password for registry %s: %w", r.Host, err)
	}
	return append(o, remote.WithAuth(&authn.Basic{Username: r.User, Password: password})), nil
}

// ask calls what with each registry that may have the reference, until one has it. The error is the last one's, the registry's own.
func (p *Puller) ask(ctx context.Context, at *place, what func(repo name.Repository, o []remote.Option) error) error {
	var err error
	for _, r := range at.from {
		var repo name.Repository
		var o []remote.Option
		if repo, err = at.in(r); err != nil {
			return badReference(at.String(), err)
		}
		if o, err = p.options(ctx, r); err != nil {
			return err
		}
		if err = what(repo, o); err == nil || ctx.Err() != nil {
			break
		}
		err = p.explainOwn(r.Host, explain(at.String(), r.Host, err))
	}
	return err
}

// manifest gives the bytes that a tag or digest of the reference's repository names; "" = what the reference itself names.
func (p *Puller) manifest(ctx context.Context, at *place, digest string) (raw []byte, got string, err error) {
	if at.own {
		wanted := digest
		if wanted == "" {
			wanted = at.Identifier()
		}
		if got, err = p.o.Own.Resolve(at.Context().RepositoryStr(), wanted); err != nil {
			return nil, "", notPushed(at.String(), err)
		}
		p.o.Blobs.Has(got) // what is about to be deployed is kept until a version names it
		raw, err = p.small(got)
		return raw, got, err
	}
	err = p.ask(ctx, at, func(repo name.Repository, o []remote.Option) error {
		d, err := remote.Get(named(repo, at.Reference, digest), o...)
		if err == nil {
			raw, got = d.Manifest, d.Digest.String()
		}
		return err
	})
	return raw, got, err
}

// maxSmall bounds manifests and configs, in bytes.
const maxSmall = 4 << 20

// small reads content that is here.
func (p *Puller) small(digest string) ([]byte, error) {
	f, size, err := p.o.Blobs.Open(digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxSmall {
		return nil, tooLarge(digest, size)
	}
	return io.ReadAll(f)
}

// Content is what a manifest names.
type Content struct {
	Reference string // to the image
	Digest    string
	Bytes     int64       // by the manifest
	Came      func(n int) // is told how many more bytes have come, by the goroutine of Fetch; nil = nobody
}

// Fetch brings content of the reference's repository into the store, unless it is there.
func (p *Puller) Fetch(ctx context.Context, c Content) error {
	ref, digest, size := c.Reference, c.Digest, c.Bytes
	if _, ok := p.o.Blobs.Has(digest); ok {
		return nil
	}
	if err := sensible(digest, size); err != nil {
		return err
	}
	at, err := p.locate(ref)
	if err != nil {
		return err
	}
	if at.own {
		return gone(ref, digest)
	}
	ctx, pause, done := watch(ctx, digest)
	defer done()
	return p.ask(ctx, at, func(repo name.Repository, o []remote.Option) error {
		layer, err := remote.Layer(repo.Digest(digest), o...)
		if err != nil {
			return err
		}
		content, err := layer.Compressed()
		if err != nil {
			return err
		}
		defer content.Close()
		ended := func() error { return context.Cause(ctx) }
		_, err = p.o.Blobs.Put(ctx, digest, &bounded{from: content, size: size, pause: pause, ended: ended, came: c.Came})
		return err
	})
}
