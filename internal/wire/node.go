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
