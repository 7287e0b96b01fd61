package build

import (
	"encoding/json"
	"io"
	"os"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// maxPackage bounds the package.json that is read.
const maxPackage = 1 << 20

// nodePlan lays the packages that run the function beside it, and before that runs the package's own build where it has one, with those that it is
// developed with.
func nodePlan(r *Request) (*plan, error) {
	const file = "package.json"
	if !r.has(file) {
		return nil, lacks(function.BuildNode, file)
	}
	builds, err := hasBuildScript(r.Dir, file)
	if err != nil {
		return nil, err
	}
	quiet := []string{"--no-audit", "--no-fund", "--loglevel=warn"}
	install := []string{"npm", "install"} // takes what is newest
	if r.has("package-lock.json") || r.has("npm-shrinkwrap.json") {
		install = []string{"npm", "ci"}
	}
	install = append(install, quiet...)
	p := &plan{name: "npm", needs: []string{"node", "npm"}, steps: [][]string{{"node", "--version"}}, versioned: true, output: sourceAt,
		env: []string{"npm_config_cache=" + cacheAt + "/npm", "npm_config_update_notifier=false", "npm_config_progress=false"}}
	if builds {
		p.steps = append(p.steps, install, []string{"npm", "run", "build"}, append([]string{"npm", "prune", "--omit=dev"}, quiet...))
	} else {
		p.steps = append(p.steps, append(install, "--omit=dev"))
	}
	return p, nil
}

// hasBuildScript says whether a package.json has a script called build.
func hasBuildScript(dir, file string) (bool, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	f, err := root.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPackage))
	if err != nil {
		return false, err
	}
	var pkg struct {
		Scripts map[string]any `json:"scripts"`
	}
	if err := json.Unmarshal(text, &pkg); err != nil {
		return false, fault.New(fault.Invalid, "%s is no JSON that npm would read: %w", file, err)
	}
	script, _ := pkg.Scripts["build"].(string)
	return script != "", nil
}
