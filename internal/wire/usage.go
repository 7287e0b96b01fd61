package wire

import "github.com/dalamb/dalamb/internal/function"

// UsageList is the answer to GET /v1/usage: what functions used, by the hour, oldest first.
type UsageList struct {
	Usage []function.Usage `json:"usage"`
}
