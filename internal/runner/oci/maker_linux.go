package oci

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// programFD is the init's descriptor of this program, which it is started from: the way to its file may be closed to its users.
const programFD = inside.Socket + 1

// patience is how long a runtime may take for one command.
const patience = 30 * time.Second

// maker implements native.Maker.
type maker struct {
	runtime  string
	name     string   // of the scaffold; the runtime's cgroups begin with it
	dir      string   // all below is the maker's
	root     string   // of the runtime's own state
	bundles  string   // a directory for each sandbox
	scaffold string   // see makeScaffold
	flags    []string // of the runtime, before the command
	hidden   []string // directories that the runtime must not see; see startWithout
	prepare  func() error
}

func newMaker(runtime, state string) (*maker, error) {
	abs, err := filepath.Abs(state)
	if err != nil {
		return nil, fmt.Errorf("find state directory %s: %w", state, err)
	}
	sum := sha256.Sum256([]byte(abs))
	m := &maker{runtime: runtime, name: "dalamb-oci-" + hex.EncodeToString(sum[:6]), dir: filepath.Join(abs, "oci")}
	m.root, m.bundles, m.scaffold = filepath.Join(m.dir, "state"), filepath.Join(m.dir, "bundles"), filepath.Join("/run", m.name)
	m.flags = []string{"--root", m.root}
	if runtime == "crun" {
		// Limits are in groups of our own; crun need not make others.
		m.flags = append(m.flags, "--cgroup-manager=disabled")
	}
	if m.hidden, err = unified(); err != nil {
		return nil, fmt.Errorf("look for cgroups: %w", err)
	}
	m.prepare = sync.OnceValue(func() error { return makeScaffold(m.scaffold) })
	return m, nil
}

// Make implements native.Maker.
func (m *maker) Make(name string, n *inside.Nest, sock *os.File) (int, error) {
	if err := m.prepare(); err != nil {
		return 0, err
	}
	pid, err := m.make(name, n, sock)
	if err != nil {
		return 0, errors.Join(err, m.Remove(name))
	}
	return pid, nil
}

func (m *maker) make(name string, n *inside.Nest, sock *os.File) (int, error) {
	dir, err := m.writeBundle(name, n)
	if err != nil {
		return 0, err
	}
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return 0, fmt.Errorf("open this program: %w", err)
	}
	defer program.Close()
	pidFile := filepath.Join(dir, "pid")
	if err := m.run(dir, []*os.File{sock, program}, "create", "--bundle", dir, "--pid-file", pidFile, "--preserve-fds", "2", name); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, fmt.Errorf("read the init's pid: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read the init's pid: %w", err)
	}
	return pid, m.run(dir, nil, "start", name)
}

// run runs the runtime. It says why it fails in a file: what it writes to, its sandboxes would have open.
func (m *maker) run(dir string, files []*os.File, args ...string) error {
	log := filepath.Join(dir, "log")
	ctx, cancel := context.WithTimeout(context.Background(), patience) // not the caller's: half a sandbox is harder to remove than a whole one
	defer cancel()
	c := exec.CommandContext(ctx, m.runtime, append(append([]string{"--log", log, "--log-format", "json"}, m.flags...), args...)...)
	c.ExtraFiles = files
	if err := startWithout(c, m.hidden); err != nil {
		return fmt.Errorf("start %s: %w", m.runtime, err)
	}
	if err := c.Wait(); err != nil {
		return fault.New(fault.Unavailable, "%s %s: %s (%w)", m.runtime, args[0], reason(log), err)
	}
	return nil
}

// reason is the last thing that a runtime's log says.
func reason(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return "it does not say why"
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	last := lines[len(lines)-1]
	var entry struct{ Msg string }
	if json.Unmarshal(last, &entry) == nil && entry.Msg != "" {
		return entry.Msg
	}
	return string(last)
}

// Remove implements native.Maker. What the runtime does not know any more is removed already.
func (m *maker) Remove(name string) error {
	dir := filepath.Join(m.bundles, name)
	if _, err := os.Stat(filepath.Join(m.root, name)); err == nil {
		if err := m.run(dir, nil, "delete", "--force", name); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove bundle: %w", err)
	}
	return nil
}

// Recover implements native.Maker.
func (m *maker) Recover(ctx context.Context, ours func(name string) bool) error {
	for _, dir := range []string{m.root, m.bundles} {
		list, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read %s: %w", dir, err)
		}
		for _, de := range list {
			if ours(de.Name()) {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			// A killed node may have removed the bundle already, and the log of what is done now needs a place.
			if err := os.MkdirAll(filepath.Join(m.bundles, de.Name()), 0o700); err != nil {
				return fmt.Errorf("make bundle: %w", err)
			}
			if err := m.Remove(de.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Outside implements native.Maker.
func (m *maker) Outside() []string { return []string{m.scaffold} }

// Close implements native.Maker.
func (m *maker) Close() error {
	if err := errors.Join(os.RemoveAll(m.dir), os.RemoveAll(m.scaffold)); err != nil {
		return fmt.Errorf("remove what %s was given: %w", m.runtime, err)
	}
	return nil
}
