package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
)

// environment finds the node that a command talks to.
type environment struct {
	get func(name string) string // os.Getenv
	all func() []string          // os.Environ; nil = there are none
	err io.Writer                // what is no answer; nil = nobody is told
	env string                   // that the command is about; "" = all, or production
	ca  string                   // --ca
}

// names are those of all variables.
func (e *environment) names() (all []string) {
	if e.all == nil {
		return nil
	}
	for _, pair := range e.all() {
		name, _, _ := strings.Cut(pair, "=")
		all = append(all, name)
	}
	return all
}

func (e *environment) dir() string {
	if dir := e.get("DALAMB_DATA"); dir != "" {
		return dir
	}
	return config.Default().Data
}

// client returns a client of the node: DALAMB_CONTROL and DALAMB_TOKEN where they are set, else what the data directory says.
func (e *environment) client() (*client.Client, error) { return e.sender("") }

// sender is client of somebody who knows the URL of the gateway and sends events alone: no control listener is looked for. "" = it is.
func (e *environment) sender(gateway string) (*client.Client, error) {
	e.tellMisspelt()
	control, token, name := e.get("DALAMB_CONTROL"), e.get("DALAMB_TOKEN"), ""
	if control == "" && gateway == "" {
		info, err := e.node()
		if err != nil {
			return nil, err
		}
		control, name = info.Control, info.Name
	}
	hint := "DALAMB_TOKEN is set and is not this node's: give it what the file token of the node's data directory has; or unset it and name that directory by DALAMB_DATA"
	if token == "" {
		file := filepath.Join(e.dir(), app.TokenFile)
		hint = fmt.Sprintf("it is from %s: name the data directory of the node at %s by DALAMB_DATA, or set DALAMB_TOKEN to what the file token there has", file, control)
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "the token cannot be read: %w", err).
				WithHint("set DALAMB_TOKEN, or DALAMB_DATA to the node's data directory")
		}
		token = strings.TrimSpace(string(text))
		if e.err != nil && slices.Contains(e.names(), "DALAMB_TOKEN") { // such as a job's whose secret is missing
			fmt.Fprintf(e.err, "warning: DALAMB_TOKEN is empty, so the token of the node's admin is used: %s\n", file)
		}
	}
	way, err := e.transport(name)
	if err != nil {
		return nil, err
	}
	return client.New(client.Options{Address: control, Gateway: gateway, Token: token, TokenHint: hint, HTTP: &http.Client{Transport: way}})
}

// tellMisspelt warns of variables of commands that are written wrong: nobody reads them, and the command goes on as if they were not there. Others
// with the prefix are settings, which the node looks at, or of other programs.
func (e *environment) tellMisspelt() {
	if e.err == nil {
		return
	}
	known := config.Variables()
	for _, name := range e.names() {
		if slices.Contains(known, name) || !strings.HasPrefix(name, config.VariablePrefix) {
			continue
		}
		near := fault.Nearest(strings.TrimPrefix(name, config.VariablePrefix), []string{"CONTROL", "TOKEN", "CA", "ENV", "DATA"})
		if len(near) > 0 {
			fmt.Fprintf(e.err, "warning: nobody reads %s; did you mean %s%s?\n", clean(name), config.VariablePrefix, near[0])
		}
	}
}

// at is the environment of the node of a data directory, and of no other.
func (e *environment) at(data string) *environment {
	return &environment{ca: e.ca, get: func(name string) string {
		switch name {
		case "DALAMB_DATA":
			return data
		case "DALAMB_CONTROL", "DALAMB_TOKEN":
			return ""
		}
		return e.get(name)
	}}
}

// node reads where the node of the data directory listens.
func (e *environment) node() (*app.NodeInfo, error) {
	text, err := os.ReadFile(filepath.Join(e.dir(), app.NodeFile))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "no node runs on the data directory %s", e.dir()).
			WithHint("start one (dalamb up --data %s), or name another by DALAMB_DATA, or DALAMB_CONTROL and DALAMB_TOKEN", e.dir())
	}
	var info app.NodeInfo
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, fault.New(fault.Unavailable, "%s is damaged: %w", filepath.Join(e.dir(), app.NodeFile), err).
			WithHint("restart the node; it writes the file anew")
	}
	return &info, nil
}

// argument reads a value that is given as itself, as @FILE, or as - for standard input.
func argument(c *cobra.Command, v string) ([]byte, error) {
	if v == "-" {
		return io.ReadAll(c.InOrStdin())
	}
	if path, ok := strings.CutPrefix(v, "@"); ok {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%w", err)
		}
		return text, nil
	}
	return []byte(v), nil
}
