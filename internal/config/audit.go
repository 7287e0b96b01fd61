package config

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Audit says what makes the log tamper-evident.
type Audit struct {
	Checkpoints string // file; "" = there is no audit
	Every       function.Duration
	Except      List // topics
}

func defaultAudit() Audit { return Audit{Every: function.Duration(time.Minute)} }

func auditSettings() []Setting {
	return []Setting{
		{Key: "audit.checkpoints", Flag: "audit", Form: "file", Help: "Makes the log tamper-evident, and adds the signed checkpoints to this file, which is to lie where who can change the data directory cannot change it; docs/audit.md. Default: there is no audit.",
			value: func(n *Node) any { return &n.Audit.Checkpoints }, check: func(n *Node) string { return plain(n.Audit.Checkpoints) }},
		{Key: "audit.every", Form: "duration", Help: "Between two checkpoints, where something has changed.",
			value: func(n *Node) any { return &n.Audit.Every }, check: func(n *Node) string {
				return span(n.Audit.Every, function.Duration(time.Second), function.Duration(24*time.Hour))
			}},
		{Key: "audit.except", Form: "list of topics", List: true, Help: "Topics that the audit leaves out, such as _dalamb.logs. Each record of the others takes 44 bytes of disk for ever.",
			value: func(n *Node) any { return &n.Audit.Except }, check: func(*Node) string { return "" }},
	}
}
