package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// filterNames are the system calls that Docker's profile allows, by name; dalamb's own filter has nearly the same, by number.
const filterNames = "internal/runner/native/seccomp/testdata/docker.txt"

// bundle is a directory that an OCI runtime starts a container from, with what a sandbox of the native runner has: the host's programs
// read-only, the code in /var/task, namespaces and users of its own, limits, a filter of system calls.
type bundle struct {
	runtime string
	flags   []string // of the runtime, before the command
	dir     string
	serial  int
}

// runtimeBundle makes one for an installed runtime.
func (b *bench) runtimeBundle(runtime string) (*bundle, error) {
	c := &bundle{runtime: runtime, dir: filepath.Join(b.dir, "bundle-"+runtime)}
	c.flags = []string{"--root", filepath.Join(c.dir, "state")}
	if runtime == "runsc" {
		c.flags = append(c.flags, "--network=none")
	}
	for _, dir := range []string{"proc", "dev", "tmp", "etc", "usr", "var/task"} {
		if err := os.MkdirAll(filepath.Join(c.dir, "rootfs", dir), 0o755); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if to, err := os.Readlink("/" + name); err == nil {
			if err := os.Symlink(to, filepath.Join(c.dir, "rootfs", name)); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// object is a part of an OCI configuration. // OCI runtime-spec 1.0, config.md
type object map[string]any

func (c *bundle) write(code string, command []string) error {
	names, err := os.ReadFile(filterNames)
	if err != nil {
		return err
	}
	var calls []string
	for line := range strings.Lines(string(names)) {
		if name := strings.TrimSpace(line); name != "" && !strings.HasPrefix(name, "#") {
			calls = append(calls, name)
		}
	}
	bind := func(from, to string) object {
		return object{"destination": to, "type": "bind", "source": from, "options": []string{"rbind", "ro", "nosuid", "nodev"}}
	}
	users := []object{{"containerID": 0, "hostID": 0x6fff0000, "size": 65536}}
	var namespaces []object
	for _, kind := range []string{"user", "mount", "pid", "ipc", "uts", "network"} {
		namespaces = append(namespaces, object{"type": kind})
	}
	text, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"process": object{
			"user": object{"uid": 1000, "gid": 1000}, "args": command, "env": environment(), "cwd": "/var/task", "noNewPrivileges": true,
			"capabilities": object{},
		},
		"root": object{"path": "rootfs", "readonly": true}, "hostname": "cold",
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755", "size=64k"}},
			{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "nodev", "mode=1777", "size=16m"}},
			bind("/usr", "/usr"), bind(code, "/var/task"),
		},
		"linux": object{
			"uidMappings": users, "gidMappings": users, "namespaces": namespaces, "cgroupsPath": "/" + filepath.Base(filepath.Dir(c.dir)) + "-" + c.runtime,
			"resources": object{"memory": object{"limit": 256 << 20}, "cpu": object{"quota": 800_000, "period": 100_000}, "pids": object{"limit": 64}},
			"seccomp": object{
				"defaultAction": "SCMP_ACT_ERRNO",
				"syscalls": []object{
					{"names": calls, "action": "SCMP_ACT_ALLOW"},
					{"names": []string{"clone3"}, "action": "SCMP_ACT_ERRNO", "errnoRet": int(syscall.ENOSYS)}, // libraries then use clone
				},
			},
			"maskedPaths":   []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi"},
			"readonlyPaths": []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, "config.json"), text, 0o600)
}

// ready is a shell that says when it is, waits for a line and becomes the runtime. It hides from it what crun before 1.9 refuses to see:
// cgroups of version 2 beside those of version 1.
const ready = `[ ! -d "$0" ] || umount "$0" && echo && read -r _ && exec "$@"`

// firstByte runs the bundle in one command, and returns after how many milliseconds the program in it had printed something.
func (c *bundle) firstByte(ctx context.Context, code string, command []string) (ms float64, err error) {
	if err := c.write(code, command); err != nil {
		return 0, err
	}
	c.serial++
	args := append([]string{"--mount", "sh", "-c", ready, "/sys/fs/cgroup/unified", c.runtime}, c.flags...)
	args = append(args, "run", "--bundle", c.dir, fmt.Sprintf("bench-%d-%d", os.Getpid(), c.serial))
	cmd := exec.CommandContext(ctx, "unshare", args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		if waitErr := cmd.Wait(); err == nil {
			err = waitErr
		}
		if err != nil {
			err = fmt.Errorf("%s run: %w: %s", c.runtime, err, bytes.TrimSpace(said.Bytes()))
		}
	}()
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		return 0, err
	}
	begun := time.Now()
	if _, err := in.Write([]byte("\n")); err != nil {
		return 0, err
	}
	in.Close() // a program may read to the end before it prints
	_, err = io.ReadFull(out, make([]byte, 1))
	return milliseconds(time.Since(begun)), err
}
