package wire

import "github.com/dalamb/dalamb/internal/function"

// VersionDiff is the answer to GET /v1/functions/{name}/diff: where two versions of a function differ. A place that a version does not
// have is absent there.
type VersionDiff struct {
	Function string                  `json:"function"`
	From     int                     `json:"from"`
	To       int                     `json:"to"`
	Settings []function.ReplayChange `json:"settings"` // of the manifest, without env and triggers; and the digests of code and image
	Env      []EnvDiff               `json:"env"`
	Triggers []TriggerDiff           `json:"triggers"`
	Files    []FileDiff              `json:"files"`
	// MoreFiles is how many differ beside those.
	MoreFiles int `json:"moreFiles,omitempty"`
	// FilesError is why the files could not be compared.
	FilesError string `json:"filesError,omitempty"`
}

// EnvDiff is a variable that is not the same.
type EnvDiff struct {
	Name   string  `json:"name"`
	Before *string `json:"before,omitempty"`
	After  *string `json:"after,omitempty"`
	Hidden bool    `json:"hidden,omitempty"` // it looks like a secret: "(hidden)" stands for its value
}

// TriggerDiff is a trigger or route that is not the same.
type TriggerDiff struct {
	Name    string                  `json:"name"`
	State   string                  `json:"state" enum:"added,removed,changed"`
	Changes []function.ReplayChange `json:"changes,omitempty"` // of one that changed
}

// FileDiff is a file, link or directory of the code that is not the same.
type FileDiff struct {
	Path   string    `json:"path"`
	State  string    `json:"state" enum:"added,removed,changed"`
	Before *FileSide `json:"before,omitempty"`
	After  *FileSide `json:"after,omitempty"`
}

// FileSide is what one version has there.
type FileSide struct {
	Bytes int64  `json:"bytes"`
	Mode  string `json:"mode"`
	Link  string `json:"link,omitempty"`
}
