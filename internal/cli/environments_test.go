package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A command that is added and forgotten in inEnvironments would act on production.
func TestEveryCommandSaysWhetherItKnowsEnvironments(t *testing.T) {
	ofTheInstallation := []string{
		"audit check", "audit key", "alert create", "alert ls", "alert rm", "alert show", "alert test",
		"backup ls", "backup verify", "build key", "config check", "copy cancel", "copy ls", "copy positions", "copy show", "delayed cancel", "delayed ls", "doctor", "env ls", "env quota", "env rm", "forget",
		"hook ls", "hook rm", "hook set", "hook show", "hook test", "images", "init", "node", "node ls", "pattern test", "repository ls", "repository rm", "restore",
		"services deregister", "services ls", "services register", "services show", "tls client", "tls init", "token ls", "token remove", "up", "usage", "version", "watch", "whoami",
	}
	known := inEnvironments()
	var missing []string
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		for _, sub := range c.Commands() {
			walk(sub, strings.TrimSpace(path+" "+sub.Name()))
		}
		if c.HasSubCommands() && known[path] == 0 {
			return
		}
		if known[path] == 0 && !slices.Contains(ofTheInstallation, path) {
			missing = append(missing, path)
		}
		delete(known, path)
	}
	walk(Root(Streams{}), "")
	for _, path := range missing {
		t.Errorf("%q is neither of environments nor of the installation", path)
	}
	for path := range known {
		t.Errorf("%q is no command", path)
	}
}
