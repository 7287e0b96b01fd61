package registry

import (
	"encoding/json"
	"fmt"
	"mime"
	"slices"

	"github.com/dalamb/dalamb/internal/fault"
)

// Media types of manifests that are taken: image-spec 1.1 and Docker's image manifest version 2, schema 2.
const (
	typeManifest   = "application/vnd.oci.image.manifest.v1+json"
	typeIndex      = "application/vnd.oci.image.index.v1+json"
	typeDocker     = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerList = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// maxMediaType is in bytes: RFC 6838, section 4.2.
const maxMediaType = 255

// descriptor is image-spec 1.1, "OCI Content Descriptors", as far as a registry looks at it.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// document is a manifest or an index.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *descriptor       `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// parseManifest reads a manifest that somebody sent with a Content-Type. It returns all that the manifest needs to be in the
// repository, too.
func parseManifest(contentType string, content []byte) (*document, []descriptor, error) {
	d := &document{}
	if err := json.Unmarshal(content, d); err != nil {
		return nil, nil, badManifest("it is not JSON of the right shape: %w", err)
	}
	said, err := mediaType(contentType)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case d.MediaType == "":
		d.MediaType = said // image-spec 1.0 had none
	case said != "" && said != d.MediaType:
		return nil, nil, badManifest("its mediaType is %.100q, but Content-Type says %.100q", d.MediaType, said)
	}
	if d.SchemaVersion != 2 {
		return nil, nil, badManifest("its schemaVersion is %d, not 2", d.SchemaVersion)
	}
	needs, err := d.needs()
	if err != nil {
		return nil, nil, err
	}
	if len(needs) > maxNeeds {
		return nil, nil, badManifest("it names %d layers or manifests; %d are possible", len(needs), maxNeeds)
	}
	for _, need := range needs {
		if err := need.check(); err != nil {
			return nil, nil, err
		}
	}
	if d.Subject != nil {
		if err := d.Subject.check(); err != nil {
			return nil, nil, err
		}
		if len(d.artifact()) > maxMediaType {
			return nil, nil, badManifest("its artifact type has %d bytes; %d are possible", len(d.artifact()), maxMediaType)
		}
	}
	return d, needs, nil
}

// needs are the descriptors of what must be there. A document that could be read as both a manifest and an index is refused: two
// readers would see two images (image-spec's advisory of 2021, CVE-2021-41190).
func (d *document) needs() ([]descriptor, error) {
	switch d.MediaType {
	case typeManifest, typeDocker:
		if d.Manifests != nil {
			return nil, badManifest("it has manifests, as only an index has")
		}
		if d.Config == nil {
			return nil, badManifest("it has no config")
		}
		return append([]descriptor{*d.Config}, d.Layers...), nil
	case typeIndex, typeDockerList:
		if d.Config != nil || d.Layers != nil {
			return nil, badManifest("it is an index and has config or layers")
		}
		return d.Manifests, nil
	case "":
		return nil, badManifest("neither its mediaType nor Content-Type says what it is")
	}
	return nil, refuse(codeManifestInvalid, fault.Invalid, "manifests of type %.100q are not taken", d.MediaType).
		hint("push OCI manifests and indexes, or Docker's of version 2, schema 2")
}

// isIndex says whether what the document needs are manifests.
func (d *document) isIndex() bool { return d.MediaType == typeIndex || d.MediaType == typeDockerList }

// artifact is its artifact type in a list of referrers: distribution-spec 1.1, "Listing Referrers".
func (d *document) artifact() string {
	if d.ArtifactType == "" && d.Config != nil {
		return d.Config.MediaType
	}
	return d.ArtifactType
}

func (d *descriptor) check() error {
	if err := checkDigest(d.Digest); err != nil {
		return badManifest("a descriptor: %w", err)
	}
	if d.Size < 0 {
		return badManifest("the size of %s is %d", d.Digest, d.Size)
	}
	return nil
}

func mediaType(contentType string) (string, error) {
	if contentType == "" {
		return "", nil
	}
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", badManifest("Content-Type %.100q cannot be read", contentType)
	}
	return t, nil
}

func badManifest(format string, args ...any) error {
	return refuse(codeManifestInvalid, fault.Invalid, "the manifest is not valid: %w", fmt.Errorf(format, args...))
}

// digests are those of the descriptors, each once.
func digests(list []descriptor) []string {
	out := make([]string, 0, len(list))
	for _, d := range list {
		out = append(out, d.Digest)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
