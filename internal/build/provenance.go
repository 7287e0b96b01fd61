package build

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Types of what is said of a build. // in-toto.io/Statement/v1, slsa.dev/provenance/v1
const (
	statementType = "https://in-toto.io/Statement/v1"
	predicateType = "https://slsa.dev/provenance/v1"
	payloadType   = "application/vnd.in-toto+json"
	buildTypes    = "https://github.com/dalamb/dalamb/blob/main/docs/builds.md#"
	builderID     = "https://github.com/dalamb/dalamb/blob/main/docs/builds.md#nodes/"
)

// statement says what was made of what, how and by whom.
type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     provenance `json:"predicate"`
}

type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

type provenance struct {
	Definition definition `json:"buildDefinition"`
	Run        runDetails `json:"runDetails"`
}

type definition struct {
	BuildType string            `json:"buildType"`
	External  external          `json:"externalParameters"`
	Internal  map[string]string `json:"internalParameters,omitempty"`
	Resolved  []resource        `json:"resolvedDependencies"`
}

// external is what somebody from outside chose: the manifest, and who pushed it.
type external struct {
	Build    function.Build   `json:"build"`
	Programs []string         `json:"programs,omitempty"`
	Origin   *function.Origin `json:"origin,omitempty"`
}

type runDetails struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	Metadata struct {
		ID       string    `json:"invocationId"`
		Started  time.Time `json:"startedOn"`
		Finished time.Time `json:"finishedOn"`
	} `json:"metadata"`
}

// describe makes the statement of a build. It holds what the node has seen itself: the digests of what went in and came out, and of a push
// the commit that it took the source from.
func (b *Builds) describe(r *Request, code string, built *function.Built) ([]byte, error) {
	s := statement{Type: statementType, PredicateType: predicateType, Subject: []resource{{Name: r.Function, Digest: digestOf(code)}}}
	d := &s.Predicate.Definition
	d.BuildType = buildTypes + built.Builder
	d.External = external{Build: r.Build, Programs: r.Programs, Origin: r.Origin}
	if built.Toolchain != "" {
		d.Internal = map[string]string{"toolchain": built.Toolchain}
	}
	d.Resolved = []resource{{Name: "source", Digest: digestOf(built.Source)}}
	if r.Origin != nil && r.Origin.Commit != "" {
		d.Resolved = append(d.Resolved, resource{Name: "commit", URI: "git:" + r.Origin.Repository, Digest: map[string]string{"gitCommit": r.Origin.Commit}})
	}
	for _, base := range built.Bases {
		d.Resolved = append(d.Resolved, resource{Name: "base", URI: "oci:" + base.Reference, Digest: digestOf(base.Digest)})
	}
	run := &s.Predicate.Run
	run.Builder.ID = builderID + b.key.ID
	run.Metadata.ID, run.Metadata.Started, run.Metadata.Finished = built.ID, built.Started, built.Started.Add(built.Took.Std())
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the provenance of a build: %w", err)
	}
	return text, nil
}

func digestOf(digest string) map[string]string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return map[string]string{algorithm: hex}
}

// sign puts the provenance of a build into built, signed.
func (b *Builds) sign(r *Request, code string, built *function.Built) error {
	text, err := b.describe(r, code, built)
	if err != nil {
		return err
	}
	built.Provenance, err = b.key.seal(payloadType, text)
	return err
}

// verify says why what is said of a build is not what this node has signed of this code.
func (b *Builds) verify(code string, built *function.Built) error {
	kind, text, err := b.key.open(built.Provenance)
	if err != nil {
		return err
	}
	var s statement
	if err := json.Unmarshal(text, &s); err != nil || kind != payloadType || s.Type != statementType || len(s.Subject) != 1 {
		return fmt.Errorf("what is signed is no statement of one build (%s)", kind)
	}
	algorithm, hex, _ := strings.Cut(code, ":")
	if s.Subject[0].Digest[algorithm] != hex || s.Predicate.Run.Metadata.ID != built.ID {
		return fmt.Errorf("what is signed is of another build")
	}
	return nil
}
