package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Manifest is what a tag or digest names.
type Manifest struct {
	Digest    string
	MediaType string
	Size      int64 // bytes
}

// Resolve says what a tag or digest names in a repository. NotFound when it names nothing; Invalid when it cannot name anything.
func (g *Registry) Resolve(name, reference string) (Manifest, error) {
	if err := checkName(name); err != nil {
		return Manifest{}, err
	}
	if err := checkReference(reference); err != nil {
		return Manifest{}, err
	}
	return g.find(place{name: name, ref: reference})
}

func (g *Registry) find(at place) (Manifest, error) {
	repo, err := g.index.get(at.name)
	if err != nil {
		return Manifest{}, err
	}
	digest := at.ref
	if !isDigest(at.ref) {
		var ok bool
		if digest, ok = repo.Tags[at.ref]; !ok {
			tags := make([]string, 0, len(repo.Tags))
			for tag := range maps.Keys(repo.Tags) {
				tags = append(tags, tag)
			}
			return Manifest{}, as(codeManifestUnknown, fault.Missing("tag of "+at.name, at.ref, tags))
		}
	}
	m, ok := repo.Manifests[digest]
	if !ok {
		return Manifest{}, noManifest(at)
	}
	return Manifest{Digest: digest, MediaType: m.MediaType, Size: m.Size}, nil
}

func noManifest(at place) error {
	return refuse(codeManifestUnknown, fault.NotFound, "repository %s has no manifest %s", at.name, at.ref)
}

func (g *Registry) getManifest(w http.ResponseWriter, r *http.Request, at place) error {
	m, err := g.find(at)
	if err != nil {
		return err
	}
	g.blobs.Has(m.Digest) // who has seen it need not push it again: Expire leaves it alone for a while
	f, _, err := g.blobs.Open(m.Digest)
	if err != nil {
		return as(codeManifestUnknown, err)
	}
	defer f.Close()
	describe(w, m.Digest, m.MediaType)
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// putManifest takes a manifest when all that it needs is here, and points the tag at it where one is named. Manifest, tag and what
// refers to what change in one step, when the content is durable.
func (g *Registry) putManifest(w http.ResponseWriter, r *http.Request, at place) error {
	content, err := io.ReadAll(io.LimitReader(body(w, r), maxManifest+1))
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	if len(content) > maxManifest {
		return refuse(codeSizeInvalid, fault.TooLarge, "the manifest is larger than %d MiB", maxManifest>>20)
	}
	sum := sha256.Sum256(content)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if isDigest(at.ref) && at.ref != digest {
		return refuse(codeDigestInvalid, fault.Invalid, "the manifest is %s, not %s", digest, at.ref)
	}
	d, needs, err := parseManifest(r.Header.Get("Content-Type"), content)
	if err != nil {
		return err
	}
	if !d.isIndex() {
		if err := g.haveSizes(needs); err != nil {
			return err
		}
	}
	if _, err := g.blobs.Put(r.Context(), digest, bytes.NewReader(content)); err != nil {
		return err
	}
	m := manifest{MediaType: d.MediaType, Size: int64(len(content)), Needs: digests(needs)}
	if d.Subject != nil {
		m.Subject, m.Artifact = d.Subject.Digest, d.artifact()
	}
	if err := g.index.change(r.Context(), at.name, func(repo *repository) error { return repo.take(at.ref, digest, m, d.isIndex()) }); err != nil {
		return err
	}
	g.logger.Info("image pushed", "repository", at.name, "reference", at.ref, "digest", digest)
	if !isDigest(at.ref) {
		pusher, _, _ := r.BasicAuth()
		if err := g.pushed(Push{Repository: at.name, Tag: at.ref, Manifest: Manifest{Digest: digest, MediaType: m.MediaType, Size: m.Size}, Pusher: pusher}); err != nil {
			return fmt.Errorf("tell of the push of %s:%s: %w", at.name, at.ref, err)
		}
	}
	w.Header().Set("Location", "/v2/"+at.name+"/manifests/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	if m.Subject != "" {
		w.Header().Set("Oci-Subject", m.Subject)
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// haveSizes asks for each blob, so that none is collected before the manifest refers to it, and holds the manifest to the sizes that
// it names.
func (g *Registry) haveSizes(needs []descriptor) error {
	for _, d := range needs {
		size, ok := g.blobs.Has(d.Digest)
		if !ok {
			return missing(d.Digest)
		}
		if size != d.Size {
			return badManifest("%s has %d bytes, not %d", d.Digest, size, d.Size)
		}
	}
	return nil
}

func missing(digest string) error {
	return refuse(codeManifestBlobUnknown, fault.NotFound, "the manifest needs %s, which is not in the repository", digest).
		hint("push it first, or mount it from another repository")
}

// take adds a manifest whose content is stored.
func (r *repository) take(ref, digest string, m manifest, index bool) error {
	for _, need := range m.Needs {
		_, manifest := r.Manifests[need]
		if index && !manifest || !index && !r.Blobs[need] {
			return missing(need)
		}
	}
	r.Manifests[digest] = m
	if !isDigest(ref) {
		r.Tags[ref] = digest
	}
	return nil
}

// deleteManifest takes a tag away; or by digest a manifest, with all its tags. The content goes later, when nothing else needs it.
func (g *Registry) deleteManifest(w http.ResponseWriter, r *http.Request, at place) error {
	if _, err := g.find(at); err != nil {
		return err
	}
	if err := g.index.change(r.Context(), at.name, func(repo *repository) error { return repo.drop(at) }); err != nil {
		return err
	}
	g.logger.Info("image deleted", "repository", at.name, "reference", at.ref)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (r *repository) drop(at place) error {
	if !isDigest(at.ref) {
		delete(r.Tags, at.ref)
		return nil
	}
	if _, ok := r.Manifests[at.ref]; !ok {
		return noManifest(at)
	}
	if by := r.user(at.ref); by != "" {
		return stillNeeded(at.ref, by)
	}
	delete(r.Manifests, at.ref)
	maps.DeleteFunc(r.Tags, func(_, digest string) bool { return digest == at.ref })
	return nil
}
