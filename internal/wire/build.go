package wire

import "github.com/dalamb/dalamb/internal/function"

// BuildRequest asks for code that is made from a directory.
type BuildRequest struct {
	Function string         `json:"function"` // that the code is for; builds of one function share what they keep
	Source   string         `json:"source"`   // digest of the directory, uploaded before as code is
	Build    function.Build `json:"build"`
	Programs []string       `json:"programs,omitempty"` // paths below the code of what functions are started from
}

// BuildOf asks for the code of a function that a manifest declares; name is its full one.
func BuildOf(name string, d *function.Declared, source string, how function.Build) BuildRequest {
	b := BuildRequest{Function: name, Source: source, Build: how}
	if program, own := d.OwnProgram(); own {
		b.Programs = []string{program}
	}
	return b
}

// BuildProgress is one line of the answer to a BuildRequest: what the build says, or in the end what it made.
type BuildProgress struct {
	Line  string          `json:"line,omitempty"`
	Code  string          `json:"code,omitempty"`  // digest of the code that the build made; the last line has it, or image
	Image string          `json:"image,omitempty"` // reference to the image that it made, by digest, in the place of code
	Built *function.Built `json:"built,omitempty"` // how
}

// BuildKey is the key that a node signs with what it says of its builds.
type BuildKey struct {
	ID     string `json:"id"`     // SHA-256 of the public key's DER form, in hex
	Public string `json:"public"` // in PEM; ed25519
}

// Build is what the log tells of one build, and what came of it.
type Build struct {
	function.BuildEvent
	Versions []VersionRef `json:"versions"` // that have what it made, and are there
}

// VersionRef names a version.
type VersionRef struct {
	Function string `json:"function"`
	Version  int    `json:"version"`
}

// BuildList is the answer of listBuilds, the newest first.
type BuildList struct {
	Builds []Build `json:"builds"`
}
