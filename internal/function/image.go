package function

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Image is the container image that a version runs in, as its deploy found it: nothing of it is looked up again by a name that may
// come to mean something else.
type Image struct {
	Reference string  `json:"reference"` // as it was written
	Digest    string  `json:"digest"`    // of the manifest for this platform: "sha256:<hex>"
	Layers    []Layer `json:"layers"`    // the lowest first
	Env       []Var   `json:"env,omitempty"`
	WorkDir   string  `json:"workDir,omitempty"`
	User      User    `json:"user"`
	Stop      string  `json:"stopSignal,omitempty"` // its name; "" = SIGTERM

	Gave []string `json:"gave,omitempty"` // fields of the spec that the image's config filled in
}

// Layer is one layer of an image.
type Layer struct {
	Digest string  `json:"digest"` // of its content as it is sent
	DiffID string  `json:"diffId"` // of the archive in it
	Bytes  int64   `json:"bytes"`  // as it is sent
	Stored *Stored `json:"stored,omitempty"`
}

// Named is the image's digest; "" = there is no image.
func (i *Image) Named() string {
	if i == nil {
		return ""
	}
	return i.Digest
}

// ByDigest is the reference to the image that was found, whatever its tag names now. The name ends before a tag or a digest.
func (i *Image) ByDigest() string {
	name, _, _ := strings.Cut(i.Reference, "@")
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		name = name[:at]
	}
	return name + "@" + i.Digest
}

// Stored is where the layer of a digest stands in the log; nil when the image has none such, or there is no image.
func (i *Image) Stored(digest string) *Stored {
	if i == nil {
		return nil
	}
	for _, l := range i.Layers {
		if l.Digest == digest && l.Stored != nil {
			return l.Stored
		}
	}
	return nil
}

// Var is an environment variable of an image.
type Var struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// User is who a function runs as, in the numbers of its sandbox.
type User struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups,omitempty"` // beside GID
}

// ImageRef is the reference to the image that the function is made of or laid upon; "" = none.
func (s *Spec) ImageRef() string {
	if s.Image != "" {
		return s.Image
	}
	if s.Base == BaseHost || s.Base == baseScratch {
		return ""
	}
	return s.Base
}

// RunIn has the function made of another image than before, or laid upon it.
func (s *Spec) RunIn(ref string) {
	if s.Image != "" {
		s.Image = ref
	} else {
		s.Base = ref
	}
}

// BaseHost is the base of a function that sees the machine's own programs.
const BaseHost = "host"

const baseScratch = "scratch"

// LocalImage says whether a reference in a manifest is a file or directory beside it.
func LocalImage(ref string) bool {
	return strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../")
}

// validRef is what a reference may be made of; what it means is for who pulls it.
var validRef = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,511}$`)

const refHint = "a reference such as registry.example.com/shop/pay:1.2, NAME@sha256:..., or ./FILE.tar beside the manifest"

func (c *checker) image(s *Spec) {
	switch {
	case s.Image != "" && s.Base != "":
		c.add("base", "write image alone, or code with base", "a function that is an image has no base")
	case s.Image != "":
		c.ref("image", s.Image)
	case s.Base == BaseHost || s.Base == baseScratch:
	case strings.ContainsAny(s.Base, "/:.@"):
		c.ref("base", s.Base)
	default:
		oneOf(c, "base", s.Base, []string{BaseHost, baseScratch}) // an image is written with its tag or its registry
	}
}

func (c *checker) ref(field, ref string) {
	if LocalImage(ref) {
		if path.Clean(ref) == "." || len(ref) > 512 || strings.ContainsAny(ref, "\x00\n") {
			c.add(field, refHint, "%q is not the path of an image", clip(ref))
		}
		return
	}
	if c.transport(field, ref) {
		return
	}
	if !validRef.MatchString(ref) {
		c.add(field, refHint, "%q is not a reference to an image", clip(ref))
	}
}

// transport refuses a reference with what other tools write before one, and says how it is written here.
func (c *checker) transport(field, ref string) (is bool) {
	scheme, rest, _ := strings.Cut(ref, ":")
	rest, slashes := strings.CutPrefix(rest, "//")
	switch {
	case scheme == "file" && slashes, slices.Contains([]string{"oci", "oci-archive", "docker-archive"}, scheme) && strings.ContainsAny(rest, "/:"):
		file, _, _ := strings.Cut(rest, ":") // what follows is its tag
		if !path.IsAbs(file) {
			file = "./" + path.Clean(file)
		}
		c.add(field, "a path from the manifest on, to an OCI image layout or to what docker save writes", "write %q, without %s:", clip(file), scheme)
	case slashes && (scheme == "http" || scheme == "https"):
		c.add(field, "a registry that speaks plain HTTP is named in the node's setting registries; docs/images.md", "write %q, without %s://", clip(rest), scheme)
	case slashes:
		c.add(field, refHint, "write %q, without %s://", clip(rest), clip(scheme))
	default:
		return false
	}
	return true
}
