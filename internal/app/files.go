package app

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// Files in a data directory that a client on the same machine reads.
const (
	TokenFile = "token"     // the control token, made at the first start, mode 0600
	NodeFile  = "node.json" // where the running node listens; there while it runs
)

// logDir is the embedded log's, in the data directory.
const logDir = "log"

// NodeInfo is the content of NodeFile.
type NodeInfo struct {
	Control  string `json:"control"`            // URL
	Gateway  string `json:"gateway"`            // URL
	Name     string `json:"name,omitempty"`     // which the node's certificate proves, where it does not prove the host in Control
	Redirect string `json:"redirect,omitempty"` // URL by plain HTTP, whose requests are sent on to Gateway
	DNS      string `json:"dns,omitempty"`      // host:port, where services are answered for in DNS
	PID      int    `json:"pid"`
	Waiting  bool   `json:"waiting,omitempty"` // for its log; until then every command is answered with the reason
}

// OpenData makes the data directory where it is missing, private to its owner.
func OpenData(dir string) error {
	_, missing := os.Stat(dir)
	err := os.MkdirAll(dir, 0o700)
	if err == nil && missing != nil {
		// The directory often lies in a checkout, and there is a token in it.
		err = os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600)
	}
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".write-*"); err == nil {
			probe.Close()
			os.Remove(probe.Name())
			return nil
		}
	}
	return fault.New(fault.Unavailable, "the data directory %s cannot be written: %w", dir, err).
		WithHint("make it yours (chown), or choose another with --data DIR")
}

// loadToken returns the control token, made at the first start.
func loadToken(dir string) (string, error) {
	path := filepath.Join(dir, TokenFile)
	data, err := os.ReadFile(path)
	if err == nil {
		token := strings.TrimSpace(string(data))
		if len(token) < 16 {
			return "", fault.New(fault.Invalid, "%s holds no token of at least 16 characters", path).
				WithHint("remove the file; the next start makes a new token")
		}
		return token, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the token: %w", err)
	}
	raw := make([]byte, 24)
	rand.Read(raw) // never fails: crypto/rand
	token := hex.EncodeToString(raw)
	if err := durable.Replace(path, []byte(token+"\n")); err != nil {
		return "", fmt.Errorf("write the token: %w", err)
	}
	return token, nil
}

func writeNode(dir string, n NodeInfo) error {
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode %s: %w", NodeFile, err)
	}
	return durable.Replace(filepath.Join(dir, NodeFile), append(data, '\n'))
}

// stored is a private file that is read and replaced whole.
type stored string

func (s stored) Load() ([]byte, error)  { return os.ReadFile(string(s)) }
func (s stored) Save(data []byte) error { return durable.Replace(string(s), data) }
