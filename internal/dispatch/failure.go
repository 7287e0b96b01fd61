package dispatch

import "github.com/dalamb/dalamb/internal/fault"

// typeNodeStopped is the error type of an attempt during which the node ended.
const typeNodeStopped = "Dalamb.NodeStopped"

// failureType is the error type of an attempt whose answer dalamb could not keep. It is a name, as a function's own error types
// are.
func failureType(k fault.Kind) string {
	switch k {
	case fault.Invalid:
		return "Dalamb.Invalid"
	case fault.NotFound:
		return "Dalamb.NotFound"
	case fault.Conflict:
		return "Dalamb.Conflict"
	case fault.Denied:
		return "Dalamb.Denied"
	case fault.TooLarge:
		return "Dalamb.TooLarge"
	}
	return "Dalamb.Refused"
}
