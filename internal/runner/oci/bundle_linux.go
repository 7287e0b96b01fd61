package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// The parts of OCI runtime-spec 1.0's config.json that are used.
type (
	config struct {
		Version string  `json:"ociVersion"`
		Process process `json:"process"`
		Root    root    `json:"root"`
		Mounts  []mount `json:"mounts"`
		Linux   linux   `json:"linux"`
	}
	process struct {
		User         user                `json:"user"`
		Args         []string            `json:"args"`
		Env          []string            `json:"env"`
		Dir          string              `json:"cwd"`
		Capabilities map[string][]string `json:"capabilities"`
		NoNewPrivs   bool                `json:"noNewPrivileges"`
	}
	user struct {
		UID int `json:"uid"`
		GID int `json:"gid"`
	}
	root struct {
		Path     string `json:"path"`
		ReadOnly bool   `json:"readonly"`
	}
	mount struct {
		To      string   `json:"destination"`
		Type    string   `json:"type"`
		From    string   `json:"source"`
		Options []string `json:"options,omitempty"`
	}
	linux struct {
		UIDs        []mapping   `json:"uidMappings,omitempty"`
		GIDs        []mapping   `json:"gidMappings,omitempty"`
		CgroupsPath string      `json:"cgroupsPath,omitempty"`
		Namespaces  []namespace `json:"namespaces"`
	}
	mapping struct {
		Inside  int `json:"containerID"`
		Outside int `json:"hostID"`
		Size    int `json:"size"`
	}
	namespace struct {
		Type string `json:"type"`
		Path string `json:"path,omitempty"` // of one that is there
	}
)

// hostDirs are what the init takes from the host for the roots that it makes; it shows functions less of /etc.
func hostDirs() []string {
	return []string{"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc"}
}

// bundle is the config of one sandbox. Its root is a scaffold: the init puts the function's root together in it, of the same parts as
// on the host, and takes the scaffold away. The init may do in its namespaces what that takes; the function may nothing.
func (m *maker) bundle(name string, n *inside.Nest) (*config, error) {
	env, err := n.Env()
	if err != nil {
		return nil, err
	}
	uids, gids := n.IDs.Maps()
	c := &config{
		Version: "1.0.2",
		Process: process{
			Args: []string{fmt.Sprintf("/proc/self/fd/%d", programFD)}, Env: env, Dir: "/", NoNewPrivs: true, Capabilities: map[string][]string{},
		},
		Root: root{Path: m.scaffold, ReadOnly: true},
		Mounts: []mount{
			{To: "/proc", Type: "proc", From: "proc", Options: []string{"nosuid", "nodev", "noexec"}},
			{To: "/dev", Type: "tmpfs", From: "tmpfs", Options: []string{"nosuid", "mode=755", "size=64k"}},
		},
		Linux: linux{
			UIDs: mappings(uids), GIDs: mappings(gids), CgroupsPath: "/" + m.name + "-" + name, // not below one of the name: nobody would remove that
			Namespaces: namespaces("user", "mount", "pid", "ipc", "uts"),
		},
	}
	if n.OwnNet {
		c.Linux.Namespaces = append(c.Linux.Namespaces, namespaces("network")...)
	}
	for _, set := range []string{"bounding", "effective", "permitted"} {
		c.Process.Capabilities[set] = []string{
			"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_KILL", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE",
			"CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_RESOURCE",
		}
	}
	for _, dir := range hostDirs() {
		if info, err := os.Lstat("/" + dir); err == nil && info.IsDir() {
			c.Mounts = append(c.Mounts, mount{To: "/" + dir, Type: "bind", From: "/" + dir, Options: []string{"rbind", "ro", "nosuid", "nodev"}})
		}
	}
	return c, nil
}

// namespaces are new ones.
func namespaces(types ...string) (list []namespace) {
	for _, t := range types {
		list = append(list, namespace{Type: t})
	}
	return list
}

func mappings(list []syscall.SysProcIDMap) (out []mapping) {
	for _, m := range list {
		out = append(out, mapping{m.ContainerID, m.HostID, m.Size})
	}
	return out
}

// writeBundle makes the directory that the runtime is told of.
func (m *maker) writeBundle(name string, n *inside.Nest) (dir string, err error) {
	c, err := m.bundle(name, n)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(m.bundles, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make bundle: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		return "", fmt.Errorf("write bundle: %w", err)
	}
	return dir, nil
}

// makeScaffold makes the directory that is the root of all sandboxes before their init makes one. It is not below the state directory,
// which only root may enter: the users of a sandbox must.
func makeScaffold(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make scaffold: %w", err)
	}
	for _, name := range append(hostDirs(), "proc", "dev", "sys") {
		to, err := os.Readlink("/" + name)
		switch {
		case err == nil && !strings.Contains(to, ".."):
			err = os.Symlink(to, filepath.Join(dir, name))
		case err == nil || errors.Is(err, syscall.EINVAL): // a directory
			err = os.Mkdir(filepath.Join(dir, name), 0o755)
		case errors.Is(err, fs.ErrNotExist):
			err = nil
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make scaffold: %w", err)
		}
	}
	return nil
}
