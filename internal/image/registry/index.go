package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// repository is what one repository holds. What is published is never changed; whoever changes something changes a copy.
//
// All that a manifest needs is among the repository's own manifests and blobs, always: so what can be listed can be pulled.
type repository struct {
	Name      string              `json:"name"`
	Tags      map[string]string   `json:"tags"`      // tag -> digest of a manifest
	Manifests map[string]manifest `json:"manifests"` // by digest
	Blobs     map[string]bool     `json:"blobs"`     // digests that were pushed or mounted here
}

// manifest is what the index keeps of a manifest; the manifest itself is content.
type manifest struct {
	MediaType string   `json:"mediaType"`
	Size      int64    `json:"size"`               // bytes
	Subject   string   `json:"subject,omitempty"`  // digest of what it refers to, which need not be there
	Artifact  string   `json:"artifact,omitempty"` // its artifact type, where it has a subject
	Needs     []string `json:"needs,omitempty"`    // digests: config and layers, or the manifests of an index
}

func newRepository(name string) *repository {
	return &repository{Name: name, Tags: map[string]string{}, Manifests: map[string]manifest{}, Blobs: map[string]bool{}}
}

func (r *repository) clone() *repository {
	return &repository{Name: r.Name, Tags: maps.Clone(r.Tags), Manifests: maps.Clone(r.Manifests), Blobs: maps.Clone(r.Blobs)}
}

func (r *repository) empty() bool { return len(r.Tags)+len(r.Manifests)+len(r.Blobs) == 0 }

// user is the digest of a manifest that needs the given digest, "" = none does.
func (r *repository) user(digest string) string {
	for d, m := range r.Manifests {
		if slices.Contains(m.Needs, digest) {
			return d
		}
	}
	return ""
}

// index is all repositories. Each is one file of JSON, replaced whole by a rename: a push changes a manifest, a tag and what refers to
// what in one step, a crash leaves the old or the new, and a person can read it. A database would buy nothing: repositories are small,
// pushes are rare, and everything is in memory for reading.
type index struct {
	dir  string
	turn chan struct{}                          // holds a value while nobody changes anything
	all  atomic.Pointer[map[string]*repository] // by name
}

const indexSuffix = ".json"

// openIndex reads the index and removes what an interrupted change left.
func openIndex(dir string) (*index, error) {
	x := &index{dir: dir, turn: make(chan struct{}, 1)}
	x.turn <- struct{}{}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the index of images: %w", err)
	}
	if err := durable.Sweep(dir); err != nil {
		return nil, err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the index of images: %w", err)
	}
	all := map[string]*repository{}
	for _, de := range list {
		path := filepath.Join(dir, de.Name())
		if !strings.HasSuffix(de.Name(), indexSuffix) {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("clean the index of images: %w", err)
			}
			continue
		}
		r, err := readRepository(path)
		if err != nil {
			return nil, err
		}
		all[r.Name] = r
	}
	x.all.Store(&all)
	return x, nil
}

func readRepository(path string) (*repository, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the index of images: %w", err)
	}
	r := newRepository("")
	if err = json.Unmarshal(b, r); err == nil {
		err = r.check(filepath.Base(path))
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s is not the index of a repository: %w", path, err).
			WithHint("put the file back from a backup, or remove it: then its images are gone until they are pushed again")
	}
	return r, nil
}

// check looks at what may have been written by hand. Maps that are not there are made.
func (r *repository) check(file string) error {
	if fileName(r.Name) != file {
		return fmt.Errorf("it is that of %q", r.Name)
	}
	whole := newRepository(r.Name)
	maps.Copy(whole.Tags, r.Tags)
	maps.Copy(whole.Manifests, r.Manifests)
	maps.Copy(whole.Blobs, r.Blobs)
	*r = *whole
	if err := checkName(r.Name); err != nil {
		return err
	}
	for digest := range r.Blobs {
		if err := checkDigest(digest); err != nil {
			return err
		}
	}
	for digest := range r.Manifests {
		if err := checkDigest(digest); err != nil {
			return err
		}
	}
	for tag, digest := range r.Tags {
		if err := checkReference(tag); err != nil || isDigest(tag) {
			return fmt.Errorf("%q is not a tag", tag)
		}
		if _, ok := r.Manifests[digest]; !ok {
			return fmt.Errorf("tag %s names %q, which is not in it", tag, digest)
		}
	}
	return nil
}

// fileName has a comma, which names have not, for each slash.
func fileName(name string) string { return strings.ReplaceAll(name, "/", ",") + indexSuffix }

// get returns a repository, or NotFound with the nearest names.
func (x *index) get(name string) (*repository, error) {
	if r := (*x.all.Load())[name]; r != nil {
		return r, nil
	}
	return nil, as(codeNameUnknown, fault.Missing("repository", name, x.names()))
}

func (x *index) names() []string { return slices.Sorted(maps.Keys(*x.all.Load())) }

// change makes a repository what edit makes of its copy, a new one included, and returns when that is on disk. When edit fails
// nothing changes. A repository with nothing in it goes.
func (x *index) change(ctx context.Context, name string, edit func(*repository) error) error {
	select {
	case <-x.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { x.turn <- struct{}{} }()
	before := *x.all.Load()
	after := maps.Clone(before)
	r := newRepository(name)
	if old := before[name]; old != nil {
		r = old.clone()
	}
	if err := edit(r); err != nil {
		return err
	}
	if err := within(before, r); err != nil {
		return err
	}
	var err error
	if r.empty() {
		delete(after, name)
		err = x.remove(name)
	} else {
		after[name] = r
		err = x.save(r)
	}
	if err != nil {
		return fmt.Errorf("store the index of repository %s: %w", name, err)
	}
	x.all.Store(&after)
	return nil
}

func (x *index) save(r *repository) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(x.dir, fileName(r.Name)), b)
}

func (x *index) remove(name string) error {
	if err := durable.Remove(filepath.Join(x.dir, fileName(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
