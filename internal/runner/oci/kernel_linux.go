package oci

import (
	"encoding/json"

	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
)

// ownKernel is what native has to know of a runtime whose containers have kernels of their own; nil = it is none of those.
func ownKernel(runtime string) *native.Kernel {
	k := &native.Kernel{Program: runtime, Memory: 64 << 20, PIDs: 256}
	switch runtime {
	case "runsc":
		k.Run = runsc
	case "kata-runtime":
		k.Run = kata
	default:
		return nil
	}
	return k
}

// gvisorInit is the user of gVisor's guests, whom no function can be: gVisor lets a process kill an init that is the same user.
const gvisorInit = runner.MaxID + 1

// runsc is gVisor's command. Its limits, and what is the host's of its networks, are the sandbox's around it.
func runsc(c native.Container) ([]string, string, error) {
	network := map[string]string{"none": "none", "egress": "sandbox", "host": "host"}[c.Network]
	config, err := containerConfig(&c, gvisorInit)
	return []string{
		"--root", c.State, "--ignore-cgroups", "--host-settings=ignore", "--overlay2=none", "--network=" + network,
		"--gso=false", // the host's kernel would not finish the checksums of what goes through a TUN device
		"run", "--bundle", c.Bundle, c.ID,
	}, config, err
}

// kata is the command of Kata Containers 1. Later ones have none.
func kata(c native.Container) ([]string, string, error) {
	config, err := containerConfig(&c, 0)
	return []string{"--root", c.State, "run", "--bundle", c.Bundle, c.ID}, config, err
}

// containerConfig is the config of a container that the guest is the init of. It may do in its kernel what it takes to finish the root and
// the fence; the function may nothing.
func containerConfig(c *native.Container, uid int) (string, error) {
	all := &config{
		Version: "1.0.2",
		Process: process{User: user{UID: uid}, Args: c.Args, Env: c.Env, Dir: "/", NoNewPrivs: true, Capabilities: map[string][]string{}},
		Root:    root{Path: c.Root, ReadOnly: true},
		Mounts:  []mount{{To: "/proc", Type: "proc", From: "proc"}},
		Linux:   linux{Namespaces: namespaces("mount", "pid", "ipc", "uts")},
	}
	switch c.Network {
	case "none":
		all.Linux.Namespaces = append(all.Linux.Namespaces, namespace{Type: "network"})
	case "egress":
		all.Linux.Namespaces = append(all.Linux.Namespaces, namespace{Type: "network", Path: "/proc/self/ns/net"})
	}
	// Who is not user 0 keeps those over an exec only that are ambient; the guest gives up what the function could get so.
	for _, set := range []string{"bounding", "effective", "permitted", "inheritable", "ambient"} {
		all.Process.Capabilities[set] = []string{
			"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETPCAP",
			"CAP_SETUID", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE",
		}
	}
	text, err := json.Marshal(all)
	return string(text), err
}
