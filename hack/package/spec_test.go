package main

import (
	"encoding/json"
	"os"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// adapt makes of the runtime's own example of a bundle one that runs the image, as the image says. OCI runtime-spec config.md.
func adapt(t *testing.T, path string, img v1.Image) {
	t.Helper()
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	process := spec["process"].(map[string]any)
	process["terminal"] = false
	process["args"] = append(append([]string{}, file.Config.Entrypoint...), "up", "--runner", "process")
	process["env"] = file.Config.Env
	process["cwd"] = file.Config.WorkingDir
	process["user"] = map[string]any{"uid": nobody, "gid": nobody}
	spec["root"] = map[string]any{"path": "rootfs", "readonly": false}
	if text, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
