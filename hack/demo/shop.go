package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const shopDir = "examples/shop"

// standins are played by examples/shop/standin where the machine lacks the interpreter below the directories that a
// function sees.
var standins = []struct{ function, program, language string }{
	{"pay", "python3", "Python"},
	{"confirm", "node", "Node"},
}

// prepareShop builds the Go steps and copies the shop into the data directory, with Go in place of each language that is missing.
func prepareShop(data string) (string, error) {
	shop := filepath.Join(data, "shop")
	if err := os.RemoveAll(shop); err != nil {
		return "", err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", err
	}
	if err := os.CopyFS(shop, os.DirFS(shopDir)); err != nil {
		return "", fmt.Errorf("copy %s: %w", shopDir, err)
	}
	if err := build(filepath.Join(shop, "validate", "bootstrap"), "./"+shopDir+"/validate"); err != nil {
		return "", err
	}
	manifest := filepath.Join(shop, "dalamb.yaml")
	text, err := os.ReadFile(manifest)
	if err != nil {
		return "", err
	}
	documents := strings.Split(string(text), "\n---\n")
	for _, s := range standins {
		if visible(s.program) {
			continue
		}
		fmt.Printf("%s is not installed where functions can see it: %s is played by Go instead\n", s.language, s.function)
		if err := build(filepath.Join(shop, s.function, "standin"), "./"+shopDir+"/standin"); err != nil {
			return "", err
		}
		for i, d := range documents {
			if strings.HasPrefix(d, "name: "+s.function+" ") {
				documents[i] = inGo(d, s.function)
			}
		}
	}
	return shop, os.WriteFile(manifest, []byte(strings.Join(documents, "\n---\n")), 0o600)
}

// inGo replaces the entry of a function's document by the stand-in's.
func inGo(document, step string) string {
	lines := strings.Split(document, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "entry:") {
			lines[i] = fmt.Sprintf("entry: {type: http, command: [./standin, %s], port: 8080}", step)
		}
	}
	return strings.Join(lines, "\n")
}

// visible says whether a sandbox on the host base finds the program.
func visible(program string) bool {
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

func build(out, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return nil
}
