package git

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// manifests reads every manifest of a commit. Its error has all their problems.
func (o objects) manifests(ctx context.Context, list []file) ([]*delivered, error) {
	content, err := o.blobs(ctx)
	if err != nil {
		return nil, err
	}
	defer content.close()
	var found []*delivered
	var problems []string
	first := map[string]string{} // identity -> manifest
	exports := exportsOf(list)
	looked := 0 // at manifests, bad ones too: each has its problems
	for _, f := range list {
		if !isManifest(f) {
			continue
		}
		at, counts, err := exports.of(f.path)
		if !counts {
			continue
		}
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		if looked++; looked > maxFunctions || len(found) > maxFunctions {
			return nil, fault.New(fault.TooLarge, "it has more than %d functions", maxFunctions).WithHint("make several repositories of it")
		}
		if f.size > function.MaxManifest {
			problems = append(problems, fmt.Sprintf("%s: is %d bytes long; at most %d are read", oneLine(f.path), f.size, function.MaxManifest))
			continue
		}
		var text bytes.Buffer
		if err := content.copy(&text, f); err != nil {
			return nil, err
		}
		m, err := function.ParseManifest(oneLine(f.path), text.Bytes())
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		for _, d := range m.Functions {
			one := &delivered{Declared: d, manifest: oneLine(f.path), at: at}
			if before, twice := first[one.identity()]; twice {
				problems = append(problems, fmt.Sprintf("%s: function %q is declared in %s too", one.manifest, d.Spec.Name, before))
			}
			first[one.identity()] = one.manifest
			if d.CodePath != "" {
				one.codeDir = path.Join(path.Dir(f.path), filepath.ToSlash(d.CodePath))
				if one.codeDir == ".." || strings.HasPrefix(one.codeDir, "../") {
					problems = append(problems, fmt.Sprintf("%s: code: %q leads out of the repository", one.manifest, oneLine(d.CodePath)))
				}
			}
			found = append(found, one)
		}
	}
	if problems != nil {
		return nil, fault.New(fault.Invalid, "%s", strings.Join(problems, "\n"))
	}
	return found, nil
}

// isManifest leaves out directories that hold what others made, or what is there to be tested with.
func isManifest(f file) bool {
	if path.Base(f.path) != manifestName || f.mode == modeLink || f.mode == modeSubmodule {
		return false
	}
	for dir := range strings.SplitSeq(path.Dir(f.path), "/") {
		if dir != "." && strings.HasPrefix(dir, ".") || strings.HasPrefix(dir, "_") || slices.Contains([]string{"node_modules", "vendor", "testdata"}, dir) {
			return false
		}
	}
	return true
}
