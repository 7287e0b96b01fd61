package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// Files of a node whose log is elsewhere. The embedded log guards its directory itself, and has one node alone.
const (
	nodeIDFile = "node-id" // who the node is to its log, the same at every start
	lockFile   = "lock"    // held while a node runs on the directory
)

// lockData takes the data directory for this process.
func lockData(dir string) (io.Closer, error) {
	lock, err := vfs.Default.Lock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fault.New(fault.Conflict, "data directory %s is in use by another node: %w", dir, err).
			WithHint("stop that node, or give this one a directory of its own: nodes share the log, not the directory")
	}
	return lock, nil
}

// maxHost is how much of the machine's name is in a node's id.
const maxHost = 40

// nodeID returns the node's id, made at the first start. It begins with the machine's name, for the eyes of people.
func nodeID(dir string) (string, error) {
	path := filepath.Join(dir, nodeIDFile)
	text, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(text))
		if id == "" || len(id) > 2*maxHost || plainName(id) != id {
			return "", fault.New(fault.Invalid, "%s holds no node id", path).
				WithHint("remove the file; the next start makes a new id")
		}
		return id, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the node's id: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	raw := make([]byte, 6)
	rand.Read(raw) // never fails: crypto/rand
	id := plainName(host)
	id = id[:min(len(id), maxHost)] + "-" + hex.EncodeToString(raw)
	if err := durable.Replace(path, []byte(id+"\n")); err != nil {
		return "", fmt.Errorf("write the node's id: %w", err)
	}
	return id, nil
}

// plainName leaves of a name what every log takes in a name.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return -1
	}, s)
}
