package entry

import "github.com/dalamb/dalamb/internal/function"

// shadow is what a function is told of an invocation that is a copy; "" = it is none.
func shadow(inv *function.Invocation) string {
	if inv.Shadow {
		return "true"
	}
	return ""
}
