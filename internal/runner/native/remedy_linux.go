package native

import (
	"os"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

const elseHint = "else start dalamb as root, or run functions without isolation: --runner process"

// obstacles are the kernel's switches that stand in the way of a fence, with what to do about each.
func obstacles() []struct{ file, value, hint string } {
	return []struct{ file, value, hint string }{
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"},
	}
}

// remedy makes of an error of a trial sandbox one that says what to do.
func remedy(err error) error {
	e := fault.New(fault.Unavailable, "this machine does not let dalamb fence functions: %w", err)
	for _, o := range obstacles() {
		b, readErr := os.ReadFile(o.file)
		if readErr == nil && strings.TrimSpace(string(b)) == o.value {
			return e.WithHint("allow it: %s; %s", o.hint, elseHint)
		}
	}
	if strings.Contains(err.Error(), "mount /proc") {
		return e.WithHint("in a container, start it with its /proc unmasked (docker run --security-opt systempaths=unconfined --security-opt seccomp=unconfined); %s", elseHint)
	}
	return e.WithHint("it takes Linux 5.14 or newer with user namespaces; %s", elseHint)
}
