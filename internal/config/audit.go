package config

import (
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Audit says what makes the log tamper-evident.
type Audit struct {
	Checkpoints string // a file, or a git repository: git+https://..., git+ssh://..., git+file:///...; "" = there is no audit
	Access      string // a file with what opens the repository
	KnownHosts  string // a file
	Every       function.Duration
	Except      List // topics
}

// ToGit says whether checkpoints are brought to a git repository.
func (a *Audit) ToGit() bool { return strings.HasPrefix(a.Checkpoints, "git+") }

// file is where checkpoints are added to, where that is a file.
func (a *Audit) file() string {
	if a.ToGit() {
		return ""
	}
	return a.Checkpoints
}

func defaultAudit() Audit { return Audit{Every: function.Duration(time.Minute)} }

func auditSettings() []Setting {
	return []Setting{
		{Key: "audit.checkpoints", Flag: "audit", Form: "file, or git+https://, git+ssh:// or git+file:// with a path", Help: "Makes the log tamper-evident, and adds the signed checkpoints to this file, or pushes them to this git repository, which is to lie where who can change the data directory cannot change it; docs/audit.md. Default: there is no audit.",
			value: func(n *Node) any { return &n.Audit.Checkpoints }, check: func(n *Node) string { return plain(n.Audit.Checkpoints) }},
		{Key: "audit.access", Form: "file", Help: "What opens the repository of audit.checkpoints: over https a token, or USER:TOKEN; over ssh a private key without a passphrase. Read at each push.",
			value: func(n *Node) any { return &n.Audit.Access }, check: func(n *Node) string { return plain(n.Audit.Access) }},
		{Key: "audit.known-hosts", Form: "file", Help: "Which ssh server is believed to be that of audit.checkpoints, in the form of ~/.ssh/known_hosts.",
			value: func(n *Node) any { return &n.Audit.KnownHosts }, check: func(n *Node) string { return plain(n.Audit.KnownHosts) }},
		{Key: "audit.every", Form: "duration", Help: "Between two checkpoints, where something has changed.",
			value: func(n *Node) any { return &n.Audit.Every }, check: func(n *Node) string {
				return span(n.Audit.Every, function.Duration(time.Second), function.Duration(24*time.Hour))
			}},
		{Key: "audit.except", Form: "list of topics", List: true, Help: "Topics that the audit leaves out, such as _dalamb.logs. Each record of the others takes 44 bytes of disk for ever.",
			value: func(n *Node) any { return &n.Audit.Except }, check: func(*Node) string { return "" }},
	}
}
