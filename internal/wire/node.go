package wire

import "time"

// Node is what a node says of itself.
type Node struct {
	ID        string    `json:"id,omitempty"` // who the node is among those that share a log; absent on the embedded one, which has one node
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	Gateway   string    `json:"gateway"` // address of the gateway listener, host:port
	Control   string    `json:"control"` // address of this API, host:port
	Data      string    `json:"data,omitempty"`
	Runner    Runner    `json:"runner"`
	Functions int       `json:"functions"`
	Topics    int       `json:"topics"` // without dalamb's own
	Instances int       `json:"instances"`
	// Partitions is how many partitions of each topic it runs the events of: on the embedded log all of those that triggers listen to.
	Partitions map[string]int `json:"partitions"`
	Space      string         `json:"space" enum:"ok,low,empty"` // room left for the log
}

// NodeList is the answer to GET /v1/nodes: the node that answers first, then those that it has heard of within the last seconds.
type NodeList struct {
	Nodes []NodeStatus `json:"nodes"`
}

// NodeStatus is how a node does, as it says itself.
type NodeStatus struct {
	ID        string         `json:"id,omitempty"` // absent on the embedded log, which has one node
	Self      bool           `json:"self"`         // it is the one that answers
	Heard     time.Time      `json:"heard"`        // when it has said so, by the clock of the one that answers
	Version   string         `json:"version"`
	Started   time.Time      `json:"started"`
	Gateway   string         `json:"gateway"` // host:port
	Control   string         `json:"control"` // host:port
	Grade     string         `json:"grade" enum:"healthy,degraded,unhealthy"`
	Reasons   []string       `json:"reasons"` // the measures that are not healthy
	Instances int            `json:"instances"`
	Functions []NodeFunction `json:"functions"`      // that have instances there, or were called within the window of health
	Left      int            `json:"left,omitempty"` // how many of them are not in Functions, which names a thousand at most
}

// NodeFunction is how a function does on one node.
type NodeFunction struct {
	Function  string `json:"function"`
	Instances int    `json:"instances"`
	Busy      int    `json:"busy"`
	MemoryKB  int64  `json:"memoryKB"` // of its instances, peak so far
	CPUMs     int64  `json:"cpuMs"`    // of its instances, milliseconds so far
	Grade     string `json:"grade,omitempty" enum:"healthy,degraded,unhealthy"`
}

// Runner says what fences the functions of a node.
type Runner struct {
	Name     string   `json:"name"`
	Isolated bool     `json:"isolated"`
	Images   bool     `json:"images"`          // functions can run in container images
	Egress   bool     `json:"egress"`          // network: egress is given; else a function that asks for it is refused, where any isolation is
	Limits   []string `json:"limits"`          // of memory, cpu, pids, files, tmp: those that are enforced
	Lacks    []string `json:"lacks,omitempty"` // what of a whole fence it does not give; a function with isolation: strict is refused for it
	Notes    []string `json:"notes,omitempty"`
}

// MachineReport says what a node's machine gives it.
type MachineReport struct {
	Findings []Finding `json:"findings"`
}

// Finding is one thing that a node wants from its machine.
type Finding struct {
	Name   string `json:"name"`
	State  string `json:"state" enum:"ok,warning,missing"`
	Detail string `json:"detail"`           // what there is
	Remedy string `json:"remedy,omitempty"` // how to get more; absent when all is well
}
