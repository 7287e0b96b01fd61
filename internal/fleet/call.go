package fleet

import "github.com/dalamb/dalamb/internal/function"

// Call asks for one invocation of a function.
type Call struct {
	Function   string
	Alias      string // "" = live
	Version    int    // 0 = by alias
	Invocation *function.Invocation
}
