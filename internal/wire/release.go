package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// VersionList is the answer to GET /v1/functions/{name}/versions.
type VersionList struct {
	Function string    `json:"function"`
	Keep     int       `json:"keep"`     // as many as a deploy leaves, beside those that something needs; as the newest version says
	Versions []Version `json:"versions"` // newest first
}

// Version is one version of a function and what points at it.
type Version struct {
	Number  int                `json:"number"`
	Created time.Time          `json:"created"`
	Origin  *function.Origin   `json:"origin,omitempty"` // where it came from; absent = not known
	Built   *function.Built    `json:"built,omitempty"`  // how its code was made; absent = it came as it is
	By      *function.Identity `json:"by,omitempty"`     // who deployed it; absent = not known
	Code    string             `json:"code,omitempty"`   // digest
	Image   string             `json:"image,omitempty"`  // reference
	Digest  string             `json:"imageDigest,omitempty"`
	Bytes   int64              `json:"bytes,omitempty"` // of its files, unpacked, as far as they are on this node
	Aliases []AliasShare       `json:"aliases,omitempty"`
	Error   string             `json:"error,omitempty"` // why this node could not run it
}

// AliasShare is what of an alias a version has.
type AliasShare struct {
	Alias   string `json:"alias"`
	Primary bool   `json:"primary,omitempty"` // the alias's triggers and routes are the version's
	Percent int    `json:"percent"`           // of the invocations
}

// AliasList is the answer to GET /v1/functions/{name}/aliases.
type AliasList struct {
	Function string  `json:"function"`
	Aliases  []Alias `json:"aliases"`
}

// Alias is an alias as it stands.
type Alias struct {
	Name    string  `json:"name"`
	Primary int     `json:"primary"`
	Shares  []Share `json:"shares"`           // the primary first
	Before  int     `json:"before,omitempty"` // the version that a roll-back goes to; absent = none is known
	Path    string  `json:"path"`             // where the gateway takes calls of it; with the token
}

// Share is how much of an alias's invocations a version runs.
type Share struct {
	Version int  `json:"version"`
	Percent *int `json:"percent,omitempty"` // in a request: absent = what the others leave, and the version is the primary
}

// ShiftRequest asks to point an alias of a function at versions. An alias that is not there comes to be.
type ShiftRequest struct {
	Shares  []Share `json:"shares"`
	Expects *int64  `json:"expects,omitempty"` // Shifted.Expects of a dry run: 409 when the function was changed since
	DryRun  bool    `json:"dryRun,omitempty"`
}

// RollbackRequest asks to point an alias at the version that it was at before.
type RollbackRequest struct {
	Alias   string `json:"alias,omitempty"`   // absent = live
	To      int    `json:"to,omitempty"`      // a version; absent = the one before
	Expects *int64 `json:"expects,omitempty"` // as of ShiftRequest
	DryRun  bool   `json:"dryRun,omitempty"`
}

// Shifted is what a shift or a roll-back did, or would do.
type Shifted struct {
	Function string  `json:"function"`
	Alias    string  `json:"alias"`
	From     []Share `json:"from,omitempty"` // the primary first; absent = the alias was not there
	To       []Share `json:"to"`
	// Added and Removed are triggers and routes, which are the primary's of live.
	Added    []string       `json:"added,omitempty"`
	Removed  []TriggerGoing `json:"removed,omitempty"`
	Warnings []string       `json:"warnings,omitempty"`
	Expects  int64          `json:"expects"` // what the function's state is called; for the request that follows
	Done     bool           `json:"done"`
}

// TriggerGoing is a trigger that goes away.
type TriggerGoing struct {
	Trigger string `json:"trigger"`
	Waiting int64  `json:"waiting"` // events that it had not finished; they end as discarded
}

// AliasRemoved is the answer to DELETE /v1/functions/{name}/aliases/{alias}.
type AliasRemoved struct {
	Function string `json:"function"`
	Alias    Alias  `json:"alias"` // as it was
}
