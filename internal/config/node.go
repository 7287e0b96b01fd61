// Package config owns the settings of a node: their names, defaults, meaning and checks, in one table that the file, the
// environment, the flags and the reference page all follow. Where the environment and the command line are is cli's to know.
package config

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Node is the configuration of one node. It is complete: every field has a value after Default or Load.
type Node struct {
	Data    string // directory
	Gateway string // host:port
	Control string // host:port
	Runner  string
	Drain   function.Duration

	DNS string // host:port; "" = none

	EventLog EventLog
	TLS      TLS
	Proxies  Proxies
	Signin   Signin

	Log        Log
	Logs       Logs
	OTLP       OTLP
	Limits     Limits
	Health     Health
	Audit      Audit
	Sandbox    Sandbox
	Build      Build
	Secrets    Secrets
	Registries []Registry
	Redact     []string // header names, in lower case
	AWS        AWS
	Callbacks  Callbacks
	Kubernetes Kubernetes
	Sources    []string // the files and flags that were read, for the log at start
}

// Log says how log lines look.
type Log struct{ Level, Format string }

// Logs says what becomes of functions' log lines beside their being kept.
type Logs struct{ Ship Sinks }

// AWS says what AWS's API finds on the node.
type AWS struct{ Runtimes Runtimes }

// Callbacks says who may be told what came of a request.
type Callbacks struct{ Allow []string } // networks that are not of the internet

// Kubernetes says which cluster the node has an account at, whose services its routes may have as upstreams.
type Kubernetes struct {
	URL     string // of the API; "" = that of the pod that the node is in, if it is in one
	Account string // directory with the files token and ca.crt
}

// defaultAccount is where Kubernetes puts a pod's.
const defaultAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// Secrets says where the key is that secrets are encrypted with, and how it is kept.
type Secrets struct {
	Key        string // file; "" = in the data directory
	Passphrase string // file, or fd:N; "" = none
	KMS        string // program and arguments; "" = none
}

// Sandbox says how sandboxes are made.
type Sandbox struct {
	IDs    IDs // given to them, on a node that is root
	Spares int // made ahead, at most
}

// Limits bound what one caller, and all of them together, can make a node hold.
type Limits struct {
	Event     function.Bytes // one event as it is stored
	Batch     function.Bytes // the body of one batch of events
	Request   function.Bytes // the body of one request to a function that takes it whole
	Bodies    function.Bytes // of requests that are answered later, which the log keeps beside their events, all together
	Upload    function.Bytes // the body of one that a function gets while it comes
	Response  function.Bytes // a function's answer that is collected
	Held      function.Bytes // bodies of all requests under way on the gateway
	Cache     function.Bytes // answers that are kept, of all routes
	Instances int            // of all functions on this node
}

// Default is the configuration of a node that was told nothing.
func Default() *Node {
	return &Node{
		Data:    "dalamb-data",
		Gateway: "127.0.0.1:8080",
		Control: "127.0.0.1:8081",
		Runner:  "native",
		Proxies: Proxies{Header: "x-forwarded"},
		Signin:  Signin{Claim: "groups"},
		Drain:   function.Duration(30 * time.Second),
		Log:     Log{Level: "info", Format: "text"},
		OTLP:    defaultOTLP(),
		Limits: Limits{
			Event: 1 << 20, Batch: 8 << 20, Request: 6 << 20, Bodies: 10 << 30, Upload: 1 << 30, Response: 6 << 20, Held: 256 << 20, Cache: 256 << 20,
			Instances: 256,
		},
		Health:     defaultHealth(),
		Build:      defaultBuild(),
		Kubernetes: Kubernetes{Account: defaultAccount},
		Sandbox:    Sandbox{IDs: IDs{First: 0x70000000, Count: 0x0f000000}, Spares: 16},
		Audit:      defaultAudit(),
	}
}
