package config

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// named is something outside of the configuration that a setting names.
type named struct {
	key, path string
	kind      kind
	secret    bool // who else can read it knows what nobody else may
	later     bool // a node starts without it, and does what needs it when it is there
}

type kind int

const (
	isFile     kind = iota
	isFileToBe      // or nothing yet: it is made
	isDirectory
	isDirectoryToBe
	isProgram
	isFileAdded // or nothing yet: it is made where its directory is, and written to
	isUnset     // a variable that has nothing in it
)

// names are all things that the configuration names, in the order of the settings.
func (n *Node) names(environment func(string) string) []named {
	all := []named{{key: "data", path: n.Data, kind: isDirectoryToBe}}
	if k := n.EventLog.Kafka; k != nil {
		all = append(all, named{key: "eventlog", path: k.CA}, named{key: "eventlog", path: k.Cert}, named{key: "eventlog", path: k.Key, secret: true},
			named{key: "eventlog", path: k.PasswordFile, secret: true})
		if k.PasswordEnv != "" && environment != nil && environment(k.PasswordEnv) == "" {
			all = append(all, named{key: "eventlog", path: k.PasswordEnv, kind: isUnset})
		}
	}
	all = append(all, named{key: "tls.cert", path: n.TLS.Cert}, named{key: "tls.key", path: n.TLS.Key, secret: true}, named{key: "tls.clients", path: n.TLS.Clients},
		named{key: "acme.ca", path: n.TLS.ACME.CA})
	all = append(all, named{key: "signin.secret", path: n.Signin.Secret, secret: true, later: true},
		named{key: "otlp.headers", path: n.OTLP.Headers, secret: true}, named{key: "otlp.ca", path: n.OTLP.CA}, named{key: "otlp.cert", path: n.OTLP.Cert},
		named{key: "otlp.key", path: n.OTLP.Key, secret: true}, named{key: "audit.checkpoints", path: n.Audit.file(), kind: isFileAdded, later: true},
		named{key: "audit.access", path: n.Audit.Access, secret: true}, named{key: "audit.known-hosts", path: n.Audit.KnownHosts})
	for _, s := range n.Logs.Ship {
		if s.Kind == SinkFile {
			all = append(all, named{key: "logs.ship", path: s.Address, kind: isFileAdded, later: true})
		}
		all = append(all, named{key: "logs.ship", path: s.CA}, named{key: "logs.ship", path: s.ValueFile, secret: true, later: true})
	}
	for _, dir := range n.Build.Tools {
		all = append(all, named{key: "build.tools", path: dir, kind: isDirectory, later: true})
	}
	if at := n.Kubernetes.Account; at != defaultAccount { // which is in a pod alone
		all = append(all, named{key: "kubernetes.account", path: filepath.Join(at, "token"), secret: true, later: true}, named{key: "kubernetes.account", path: filepath.Join(at, "ca.crt"), later: true})
	}
	all = append(all, named{key: "secrets.key", path: n.Secrets.Key, kind: isFileToBe, secret: true})
	if !strings.HasPrefix(n.Secrets.Passphrase, "fd:") {
		all = append(all, named{key: "secrets.passphrase", path: n.Secrets.Passphrase, secret: true})
	}
	if words := strings.Fields(n.Secrets.KMS); len(words) > 0 {
		all = append(all, named{key: "secrets.kms", path: words[0], kind: isProgram, later: true})
	}
	for _, r := range n.Registries {
		all = append(all, named{key: "registries", path: r.PasswordFile, secret: true, later: true})
	}
	return all
}

// look holds one thing against what it has to be.
func (f *Finding) look(n named) {
	wrong := f.Wrong
	if n.later {
		wrong = f.warn
	}
	hint := "name another, or make it; who runs the node must be able to read it"
	switch n.kind {
	case isFileAdded:
		hint = "name another, or make its directory; who runs the node must be able to write there"
	case isDirectoryToBe:
		hint = "make it yours (chown), or choose another with --data DIR"
	}
	switch {
	case n.path == "":
		return
	case n.kind == isUnset:
		wrong(n.key, "set it where the node is started, or use password-file=FILE", "takes a password from the variable %s, which is empty here", n.path)
		return
	case strings.HasPrefix(n.path, "~"): // a directory of that name would be made, and nobody would find it
		f.Wrong(n.key, "write the whole path; one that is meant to begin so is ./"+n.path, "is %s: a shell makes a home directory of a tilde, and a node does not", n.path)
		return
	case n.kind == isProgram:
		if _, err := exec.LookPath(n.path); err != nil {
			wrong(n.key, "write its whole path", "cannot be started: %v", err)
		}
		return
	}
	at := n.path
	info, err := os.Stat(at)
	if n.kind == isFileAdded && errors.Is(err, fs.ErrNotExist) {
		at = filepath.Dir(at)
		info, err = os.Stat(at)
	}
	if n.kind == isFileToBe || n.kind == isDirectoryToBe {
		for errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) { // what is not there yet is made, where its directory is
			at = filepath.Dir(at)
			info, err = os.Stat(at)
		}
	}
	if err != nil {
		wrong(n.key, hint, "cannot be read: %v", err)
		return
	}
	wantsDirectory := n.kind == isDirectory || n.kind == isDirectoryToBe || at != n.path
	switch {
	case wantsDirectory && !info.IsDir():
		wrong(n.key, hint, "needs a directory, and %s is none", at)
		return
	case !wantsDirectory && !info.Mode().IsRegular():
		wrong(n.key, hint, "needs a file, and %s is none", at)
		return
	}
	if n.kind == isFileAdded || n.kind == isDirectoryToBe {
		if err := unix.Access(at, unix.W_OK); err != nil {
			wrong(n.key, hint, "cannot be written: %s: %v", at, err)
			return
		}
	}
	if n.kind == isFileAdded { // which need not be readable
		return
	}
	opened, err := os.Open(at)
	if err != nil {
		wrong(n.key, hint, "cannot be read: %v", err)
		return
	}
	opened.Close()
	if n.secret && at == n.path && info.Mode().Perm()&0o007 != 0 {
		f.warn(n.key, "chmod o= "+at, "is a secret, and everybody on this machine may use %s, whose mode is %04o", at, info.Mode().Perm())
	}
}
