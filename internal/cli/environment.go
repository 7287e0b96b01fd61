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
	"sync"

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

	misspelt, empty sync.Once // the warnings of variables: deploy --watch asks for a client each time
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
	e.misspelt.Do(e.tellMisspelt)
	if gateway != "" {
		return e.toGateway(gateway)
	}
	control, token, name := e.get("DALAMB_CONTROL"), e.get("DALAMB_TOKEN"), ""
	if control == "" {
		info, err := e.node()
		if err != nil {
			return nil, err
		}
		control, name = info.Control, info.Name
	}
	hint := "DALAMB_TOKEN is set and is not this node's: give it what the file token of the node's data directory has; or unset it and name that directory by DALAMB_DATA"
	if token == "" {
		var err error
		if token, err = e.ownToken(); err != nil {
			return nil, err
		}
		hint = fmt.Sprintf("it is from %s: name the data directory of the node at %s by DALAMB_DATA, or set DALAMB_TOKEN to what the file token there has", e.tokenFile(), control)
	}
	return e.reach(name, client.Options{Address: control, Token: token, TokenHint: hint})
}

// toGateway is a client of a gateway alone. The token of the data directory is an admin's: it goes to nobody but the node that has made it.
func (e *environment) toGateway(named string) (*client.Client, error) {
	gateway, err := client.GatewayURL(named)
	if err != nil {
		return nil, err
	}
	name, own := "", false
	if info, err := e.node(); err == nil {
		if its, err := client.GatewayURL(info.Gateway); err == nil && its == gateway {
			name, own = info.Name, true
		}
	}
	token := e.get("DALAMB_TOKEN")
	hint := fmt.Sprintf("DALAMB_TOKEN is set and is not of the node whose gateway is at %s, or has expired: set it to a token of that node", gateway)
	switch {
	case token != "":
	case !own:
		return nil, fault.New(fault.Unavailable, "there is no token for the gateway at %s", gateway).
			WithHint("set DALAMB_TOKEN to one of its node; the token of the data directory %s goes to the gateway of the node that runs on it, by the URL in its %s, and to no other", e.dir(), app.NodeFile)
	default:
		if token, err = e.ownToken(); err != nil {
			return nil, err
		}
		hint = fmt.Sprintf("it is from %s, and the node at %s is another now: set DALAMB_TOKEN to a token of that node", e.tokenFile(), gateway)
	}
	return e.reach(name, client.Options{Gateway: gateway, Token: token, TokenHint: hint})
}

// reach is a client over the way to a node that name is the certificate's of.
func (e *environment) reach(name string, o client.Options) (*client.Client, error) {
	way, err := e.transport(name)
	if err != nil {
		return nil, err
	}
	o.HTTP = &http.Client{Transport: way}
	return client.New(o)
}

func (e *environment) tokenFile() string { return filepath.Join(e.dir(), app.TokenFile) }

// ownToken is that of the data directory.
func (e *environment) ownToken() (string, error) {
	text, err := os.ReadFile(e.tokenFile())
	if err != nil {
		return "", fault.New(fault.Unavailable, "the token cannot be read: %w", err).
			WithHint("set DALAMB_TOKEN, or DALAMB_DATA to the node's data directory")
	}
	if e.err != nil && slices.Contains(e.names(), "DALAMB_TOKEN") { // such as a job's whose secret is missing
		e.empty.Do(func() {
			fmt.Fprintf(e.err, "warning: DALAMB_TOKEN is empty, so the token of the node's admin is used: %s\n", e.tokenFile())
		})
	}
	return strings.TrimSpace(string(text)), nil
}

// tellMisspelt warns of variables of commands that are written wrong: nobody reads them, and the command goes on as if they were not there. Others
// with the prefix are settings, which the node looks at, or of other programs and of Kubernetes, which often begin as ours do: DALAMB_DATABASE_URL.
func (e *environment) tellMisspelt() {
	if e.err == nil {
		return
	}
	known := config.Variables()
	for _, name := range e.names() {
		if slices.Contains(known, name) || !strings.HasPrefix(name, config.VariablePrefix) {
			continue
		}
		near := fault.Mistyped(strings.TrimPrefix(name, config.VariablePrefix), []string{"CONTROL", "TOKEN", "CA", "ENV", "DATA"})
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
