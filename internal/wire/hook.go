package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Hook is a hook of a git server.
type Hook struct {
	function.Hook
	Path    string    `json:"path"` // on the gateway; where the provider sends its requests
	Changed time.Time `json:"changed"`
	// Refused counts the requests that this node refused because they did not show who sent them.
	Refused function.HookRefused `json:"refused"`
}

// HookList is the answer to GET /v1/hooks.
type HookList struct {
	Hooks []Hook `json:"hooks"`
}

// HookSet is the answer to PUT /v1/hooks/{name}.
type HookSet struct {
	Hook
	Unchanged bool `json:"unchanged,omitempty"` // it was so already
}

// HookDetail is the answer to GET /v1/hooks/{name}.
type HookDetail struct {
	Hook
	Deliveries []function.HookFinished `json:"deliveries"` // the newest first
}

// HookTested is the answer to POST /v1/hooks/{name}/test.
type HookTested struct {
	Checks []HookCheck `json:"checks"`
}

// HookCheck is one thing that a hook needs.
type HookCheck struct {
	What   string `json:"what" enum:"secret,repository,status"`
	Good   bool   `json:"good"`
	Detail string `json:"detail,omitempty"`
	Error  string `json:"error,omitempty"`
	Hint   string `json:"hint,omitempty"`
}
