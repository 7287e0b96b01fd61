// Package gitssh says how git speaks ssh for a node. It does not start either.
package gitssh

import "strings"

// Command is ssh with one key, one list of hosts and some more options, and nothing of the user's that the node runs as. It is for GIT_SSH_COMMAND.
func Command(key, hosts string, options []string) string {
	path := func(p string) string { return `"` + strings.ReplaceAll(p, "%", "%%") + `"` }
	words := []string{"ssh", "-F", "none", "-T", "-o", "IdentityFile=" + path(key), "-o", "UserKnownHostsFile=" + path(hosts)}
	for _, o := range append(options,
		"GlobalKnownHostsFile=none", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "PreferredAuthentications=publickey",
		"ConnectTimeout=20", "ServerAliveInterval=20", "ForwardAgent=no", "ClearAllForwardings=yes", "ControlPath=none", "PermitLocalCommand=no",
	) {
		words = append(words, "-o", o)
	}
	for i, w := range words {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'" // git gives the line to a shell
	}
	return strings.Join(words, " ")
}
