package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// FunctionList is the answer to GET /v1/functions.
type FunctionList struct {
	Functions []FunctionSummary `json:"functions"`
}

// FunctionSummary is one line of the list.
type FunctionSummary struct {
	Name      string             `json:"name"`
	Version   int                `json:"version"` // that live points at
	Entry     function.EntryType `json:"entry" enum:"lambda,http,stdio"`
	Created   time.Time          `json:"created"` // of that version
	Triggers  int                `json:"triggers"`
	Instances int                `json:"instances"`
	Lag       int64              `json:"lag"` // events that its triggers have not finished

	LagPartial bool      `json:"lagPartial,omitempty"` // at least so many: of some partitions it is not known
	Isolated   bool      `json:"isolated"`
	Lacks      []string  `json:"lacks,omitempty"` // what of a whole fence it does not have
	Troubles   []Trouble `json:"troubles,omitempty"`
}

// Function is one function with all that is known of it.
type Function struct {
	Name      string             `json:"name"`
	Versions  []function.Version `json:"versions"` // newest first
	Aliases   []function.Alias   `json:"aliases"`
	Triggers  []Trigger          `json:"triggers"` // of the version that live points at, routes included
	Instances []Instance         `json:"instances"`
	Isolated  bool               `json:"isolated"`
	Lacks     []string           `json:"lacks,omitempty"` // what of a whole fence it does not have
	Error     string             `json:"error,omitempty"` // why this node cannot run the version that live points at
	Troubles  []Trouble          `json:"troubles,omitempty"`
	Follows   []Follow           `json:"follows,omitempty"`
}

// Follow is an alias that gets a new version when an image is pushed.
type Follow struct {
	Alias string `json:"alias"`
	Image string `json:"image"`           // whose tag it follows
	Error string `json:"error,omitempty"` // why the newest push that this node was told of made no version
}

// Trigger is a trigger and how far it is.
type Trigger struct {
	function.Trigger
	Paused     bool   `json:"paused"`
	PausedKeys int    `json:"pausedKeys,omitempty"` // how many of its keys are paused
	Max        int    `json:"max"`                  // invocations at a time on one node
	Lag        *int64 `json:"lag,omitempty"`        // events that it has not finished; absent for routes
	LagPartial bool   `json:"lagPartial,omitempty"` // at least so many: of some partitions it is not known
	Lost       int64  `json:"lost,omitempty"`       // offsets of its topic that retention took before it had looked at them, of the last week
	Error      string `json:"error,omitempty"`
}

// TriggerList is the answer to GET /v1/triggers.
type TriggerList struct {
	Triggers []FunctionTrigger `json:"triggers"`
}

// FunctionTrigger is a trigger and whose it is.
type FunctionTrigger struct {
	Function string `json:"function"`
	Trigger
}

// Instance is a live sandbox of one version.
type Instance struct {
	ID       string    `json:"id"`
	Function string    `json:"function"`
	Version  int       `json:"version"`
	State    string    `json:"state" enum:"starting,idle,busy,frozen,stopping"`
	Started  time.Time `json:"started"`
	Runs     int64     `json:"runs"`
	MemoryKB int64     `json:"memoryKB,omitempty"` // peak so far
	CPUMs    int64     `json:"cpuMs,omitempty"`    // milliseconds so far
	Outdated bool      `json:"outdated,omitempty"` // a secret or configuration value that it takes has changed since it was started
}

// InstanceList is the answer to GET /v1/instances.
type InstanceList struct {
	Instances []Instance    `json:"instances"`
	Replaced  []Replacement `json:"replaced"` // of all functions the last one of each version that had one; of one function the last ten of each of its versions
	Troubles  []Trouble     `json:"troubles"`
}

// Started says that an instance of a version is ready.
type Started struct {
	Function string `json:"function"`
	Version  int    `json:"version"`
}

// Replacement is why an instance was ended that misbehaved.
type Replacement struct {
	Instance string    `json:"instance"`
	Function string    `json:"function"`
	Version  int       `json:"version"`
	Cause    string    `json:"cause" enum:"health,timeout,crash,oom,thaw"`
	Reason   string    `json:"reason"`
	Times    int       `json:"times"` // instances of the version that were replaced on this node so far, this one included
	At       time.Time `json:"at"`
}

// DeployRequest asks for a new version of a function.
type DeployRequest struct {
	Spec  function.Spec `json:"spec"`
	Code  string        `json:"code,omitempty"`  // digest, uploaded before; absent where the function is an image
	Alias string        `json:"alias,omitempty"` // absent = live
	// DryRun asks only whether the deploy would be refused, as far as that can be said before its files are sent: neither the code nor an
	// image beside the manifest need be here, and no image is looked for.
	DryRun bool `json:"dryRun,omitempty"`
	// Rules says that the triggers of AWS's rules are those of Spec, which a client cannot say: else those of the live version stay.
	Rules bool `json:"-"`
	// Origin is kept with a version that this makes.
	Origin *function.Origin `json:"origin,omitempty"`
	// Expects is the Function.Last, a control offset, that the deploy was decided upon, -1 = there was none of its name: 409 when the function was
	// changed since. Absent = whatever it is.
	Expects *int64 `json:"expects,omitempty"`
	// Build is the id of the build, by this node, that made the code; absent = the code came as it is.
	Build string `json:"build,omitempty"`
	// ImageDigest is that of the image which a dry run has found; one that is another by now is refused. Absent = any.
	ImageDigest string `json:"imageDigest,omitempty"`
}

// ScaleRequest asks for other bounds of a function's instances on a node.
type ScaleRequest struct {
	Min *int `json:"min,omitempty"` // absent = it stays
	Max *int `json:"max,omitempty"` // absent = it stays
	// Version is the one whose bounds were looked at: 409 when another is live by now. 0 = whichever is.
	Version int  `json:"version,omitempty"`
	DryRun  bool `json:"dryRun,omitempty"`
}

// Deployed is what a deploy made.
type Deployed struct {
	Function string   `json:"function"`
	Version  int      `json:"version"` // 0: a dry run
	Alias    string   `json:"alias"`
	Rollout  int64    `json:"rollout,omitempty"` // id of the roll-out that brings the version to the alias; absent = it points at it now
	Created  bool     `json:"created"`           // false: there was a version of the same content and settings
	Moved    bool     `json:"moved"`             // the alias points elsewhere now than before
	Warnings []string `json:"warnings,omitempty"`
	// Image is what the function runs in, where that is an image.
	Image *DeployedImage `json:"image,omitempty"`
	// Schedules are the function's, where the alias is live.
	Schedules []Schedule `json:"schedules,omitempty"`
}

// ReleaseRequest asks for new versions of several functions: all of them or none.
type ReleaseRequest struct {
	Functions []DeployRequest `json:"functions"`
	// DryRun asks the same as that of a DeployRequest, of all functions; theirs does not count here.
	DryRun bool `json:"dryRun,omitempty"`
	// Images says that a dry run brings the images, so that the release after it is not refused for one.
	Images bool `json:"images,omitempty"`
}

// Released is what a release made, in the order of the request.
type Released struct {
	Functions []Deployed `json:"functions"`
}

// Found is the digest of the image that a dry run has found; "" = there is none.
func (d *Deployed) Found() string {
	if d.Image == nil {
		return ""
	}
	return d.Image.Digest
}

// DeployedImage is the image of a deployed function.
type DeployedImage struct {
	Reference   string `json:"reference"` // as it was written
	Digest      string `json:"digest"`    // of its manifest for the node's platform
	Layers      int    `json:"layers"`
	Bytes       int64  `json:"bytes"`       // of all layers, as they are sent
	Pulled      int    `json:"pulled"`      // layers that were not here
	PulledBytes int64  `json:"pulledBytes"` // of those
}

// Removed is what was taken away.
type Removed struct {
	Function string `json:"function"`
	Waiting  int64  `json:"waiting"` // events that its triggers had not finished; they end as discarded
}

// CodeStored is the answer to an upload.
type CodeStored struct {
	Digest string `json:"digest"`
}

// TriggerState is the answer to pause and resume.
type TriggerState struct {
	Function string `json:"function"`
	Trigger  string `json:"trigger"`
	Paused   bool   `json:"paused"`
}
