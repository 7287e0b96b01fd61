package registry

import (
	"regexp"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// kind is what a path names.
type kind uint8

const (
	isBase kind = iota
	isCatalog
	isTags
	isManifest
	isBlob
	isUploads
	isUpload
	isReferrers
)

// place is where a request goes.
type place struct {
	what kind
	name string // of the repository
	ref  string // tag or digest of a manifest, digest of a blob or subject, id of an upload
}

// maxName is in bytes. The specification leaves it to registries and speaks of 255 with the host's name.
const maxName = 200

// Spelling of names and tags: distribution-spec 1.1, "Pulling manifests".
var (
	spelledName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	spelledTag  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// parsePath takes a path apart. A repository's name may have any of the words in it that follow names, so it is read from its end.
func parsePath(path string) (place, error) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if path == "/v2" || ok && rest == "" {
		return place{what: isBase}, nil
	}
	if !ok {
		return place{}, noSuchPath(path)
	}
	if rest == "_catalog" {
		return place{what: isCatalog}, nil
	}
	if name, ok := strings.CutSuffix(rest, "/tags/list"); ok {
		return named(place{what: isTags, name: name})
	}
	if name, ok := strings.CutSuffix(strings.TrimSuffix(rest, "/"), "/blobs/uploads"); ok {
		return named(place{what: isUploads, name: name})
	}
	at := strings.LastIndexByte(rest, '/')
	if at < 0 {
		return place{}, noSuchPath(path)
	}
	before, ref := rest[:at], rest[at+1:]
	for _, end := range []struct {
		word string
		what kind
	}{{"/manifests", isManifest}, {"/blobs/uploads", isUpload}, {"/blobs", isBlob}, {"/referrers", isReferrers}} {
		if name, ok := strings.CutSuffix(before, end.word); ok {
			return named(place{what: end.what, name: name, ref: ref})
		}
	}
	return place{}, noSuchPath(path)
}

// named is p when all that it names is spelled well.
func named(p place) (place, error) {
	if err := checkName(p.name); err != nil {
		return place{}, err
	}
	var err error
	switch p.what {
	case isManifest:
		err = checkReference(p.ref)
	case isBlob, isReferrers:
		err = checkDigest(p.ref)
	case isUpload:
		if !isUploadID(p.ref) {
			err = noUpload(p.ref)
		}
	}
	if err != nil {
		return place{}, err
	}
	return p, nil
}

func checkName(name string) error {
	if len(name) > maxName {
		return refuse(codeNameInvalid, fault.Invalid, "the repository's name has %d characters; %d are possible", len(name), maxName)
	}
	if !spelledName.MatchString(name) {
		return refuse(codeNameInvalid, fault.Invalid, "%q is not the name of a repository", name).
			hint("lower case letters and digits, between them . _ __ or -, in parts with / between: fn/hello")
	}
	return nil
}

// checkReference wants a tag or a digest.
func checkReference(ref string) error {
	if isDigest(ref) {
		return checkDigest(ref)
	}
	if !spelledTag.MatchString(ref) {
		return refuse(codeManifestInvalid, fault.Invalid, "%q is not a tag", ref).
			hint("a tag has letters, digits, _ . and -, at most 128 of them, and begins with none of . and -")
	}
	return nil
}

// isDigest tells a digest from a tag, which has no colon.
func isDigest(ref string) bool { return strings.Contains(ref, ":") }

func checkDigest(digest string) error {
	if _, err := image.ParseDigest(digest); err != nil {
		return as(codeDigestInvalid, err)
	}
	return nil
}

func noSuchPath(path string) error {
	return refuse(codeUnsupported, fault.NotFound, "the registry has no %.300q", path).
		hint("it speaks the OCI distribution specification; docs/registry.md")
}
