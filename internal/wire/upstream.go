package wire

import "time"

// UpstreamList are the upstreams of routes, as one node sees them.
type UpstreamList struct {
	Upstreams []Upstream `json:"upstreams"`
}

// Upstream are the servers that answer a route in the place of its function.
type Upstream struct {
	Function string           `json:"function"`
	Route    string           `json:"route"`          // the trigger's name
	Source   string           `json:"source"`         // what says which they are: static, service NAME, dns NAME, kubernetes NAMESPACE/NAME
	Lost     string           `json:"lost,omitempty"` // why the source says nothing now; the servers are those that it named last
	Left     []string         `json:"left,omitempty"` // servers that it has named and nobody may connect to, with the reason
	Balance  string           `json:"balance"`
	Servers  []UpstreamServer `json:"servers"` // sorted by address
}

// UpstreamServer is one of them.
type UpstreamServer struct {
	Address  string     `json:"address"`
	Weight   int        `json:"weight"`
	State    string     `json:"state"`            // healthy, unhealthy or ejected
	Reason   string     `json:"reason,omitempty"` // why it is unhealthy
	Until    *time.Time `json:"until,omitempty"`  // when it is tried again; of one that is ejected
	Active   int        `json:"active"`           // requests under way, of this node
	Requests int64      `json:"requests"`         // that it got since it is known here
	Failures int64      `json:"failures"`         // of those
}
