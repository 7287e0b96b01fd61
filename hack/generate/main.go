// Generate writes the reference pages from the code that they describe: docs/reference. Its test fails when they differ.
//
//	go run ./hack/generate
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/cli"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/function"
)

const dir = "docs/reference"

func main() {
	pages, err := generate()
	if err == nil {
		err = write(pages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(pages map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate makes all pages, by file name.
func generate() (map[string][]byte, error) {
	document := api.OpenAPI("devel")
	openAPI, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	manifest, err := manifestPage(function.Schema())
	if err != nil {
		return nil, fmt.Errorf("make the manifest page: %w", err)
	}
	routes, err := apiPage(openAPI)
	if err != nil {
		return nil, fmt.Errorf("make the API page: %w", err)
	}
	return map[string][]byte{
		"cli.md":                  cliPage(),
		"configuration.md":        configurationPage(),
		"manifest.md":             manifest,
		"dalamb.yaml.schema.json": function.Schema(),
		"api.md":                  routes,
		"openapi.json":            append(openAPI, '\n'),
	}, nil
}

func configurationPage() []byte {
	return []byte(`# Configuration

## A node

Defaults < the file of ` + "`dalamb up --config FILE`" + ` < environment variables < flags. An unknown or bad setting stops the start and is named with its line, its variable or
its flag. ` + "`dalamb config check FILE`" + ` tells all mistakes ahead, and looks at the files that are named.

A variable that is empty says nothing. Items of a list are joined by commas. No setting is a secret: where one is needed, the setting names its file.

With SIGHUP a node reads its file again. Settings marked so below then hold as the file says; of the others that have changed the node's log says that they
take a restart ([operations](../operations.md#configuration)).

` + config.Reference() + `
A complete file, every setting at its default:

` + "```yaml\n" + config.Example() + "```\n" + `
## A command

The other commands find their node by the environment:

| variable | value | default |
|---|---|---|
| ` + "`DALAMB_DATA`" + ` | the node's data directory; its files node.json and token say where the node is and what it wants to see | dalamb-data |
| ` + "`DALAMB_CONTROL`" + ` | URL of the control listener | what node.json says |
| ` + "`DALAMB_TOKEN`" + ` | the control token | what the file token holds |
| ` + "`DALAMB_CA`" + ` | file with the authority of a node that speaks TLS; as --ca | tls/ca.pem in the data directory, where it is there; beside what the machine believes |
`)
}

func cliPage() []byte {
	var b bytes.Buffer
	b.WriteString("# Command line\n")
	b.WriteString(exitCodes())
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n", c.CommandPath())
		about := c.Long
		if about == "" {
			about = c.Short + "."
		}
		fmt.Fprintf(&b, "%s\n\n    %s\n", about, c.UseLine())
		if c.Example != "" {
			fmt.Fprintf(&b, "\n%s\n", indent(c.Example))
		}
		rows := ""
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			name := "--" + f.Name
			if f.Shorthand != "" {
				name = "-" + f.Shorthand + ", " + name
			}
			value, usage := pflag.UnquoteUsage(f)
			rows += fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, value, orNone(f.DefValue), strings.ReplaceAll(usage, "|", "\\|"))
		})
		if rows != "" {
			fmt.Fprintf(&b, "\n| flag | value | default | meaning |\n|---|---|---|---|\n%s", rows)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	root := cli.Root(cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
	root.InitDefaultCompletionCmd()
	walk(root)
	return b.Bytes()
}

// exitCodes is the section on how commands end.
func exitCodes() string {
	var b strings.Builder
	b.WriteString(`
## Exit codes

A command that has done its work ends with 0; ` + "`dalamb invoke`" + ` and ` + "`dalamb pattern test`" + ` end with 1 when the function failed, or nothing
matched. One whose output nobody reads any more, as of a pipe into ` + "`head`" + `, ends with 141 and says nothing. An error ends it by its kind, which is also in the API's answers:

| kind | exit code | what happened |
|---|---|---|
`)
	for _, e := range cli.ExitCodes() {
		fmt.Fprintf(&b, "| %s | %d | %s |\n", e.Kind, e.Code, e.Meaning)
	}
	return b.String()
}

func indent(s string) string {
	s = strings.Trim(s, "\n")
	own := s[:len(s)-len(strings.TrimLeft(s, " "))] // what all lines of an example begin with
	lines := strings.Split(strings.TrimRight(s, " \n"), "\n")
	for i, line := range lines {
		lines[i] = "    " + strings.TrimPrefix(line, own)
	}
	return strings.Join(lines, "\n")
}

func orNone(v string) string {
	if v == "" || v == "false" || v == "0" {
		return "none"
	}
	return "`" + v + "`"
}

// schema is as much of JSON Schema as the manifest's has.
type schema struct {
	Type        any
	Description string
	Enum        []string
	Properties  map[string]*schema
	Items       *schema
	OneOf       []*schema
	AnyOf       []*schema
}

func manifestPage(text []byte) ([]byte, error) {
	var root schema
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`# dalamb.yaml

One YAML document for each function. A field that is not listed here is an error. Editors check the file while you write with the
schema dalamb.yaml.schema.json beside this page.

| field | value | meaning |
|---|---|---|
`)
	root.rows(&b, "")
	return b.Bytes(), nil
}

func (s *schema) rows(b *bytes.Buffer, prefix string) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", prefix+name, p.value(), strings.ReplaceAll(p.Description, "|", "\\|"))
		p.below(b, prefix+name)
	}
}

// below lists what is inside a field; a list's items are written field[].
func (s *schema) below(b *bytes.Buffer, name string) {
	s.rows(b, name+".")
	if s.Items != nil {
		s.Items.below(b, name+"[]")
	}
	for _, other := range append(s.OneOf, s.AnyOf...) {
		other.below(b, name)
	}
}

func (s *schema) value() string {
	if len(s.Enum) > 0 {
		return "`" + strings.Join(s.Enum, "`, `") + "`"
	}
	switch t := s.Type.(type) {
	case string:
		if t == "array" {
			return "list"
		}
		return t
	case []any:
		words := make([]string, len(t))
		for i, w := range t {
			words[i] = fmt.Sprint(w)
		}
		return strings.Join(words, " or ")
	}
	return ""
}

// document is as much of OpenAPI as the page needs.
type document struct {
	Paths map[string]map[string]struct {
		Summary    string
		Parameters []struct{ Name, In, Description string }
	}
}

func apiPage(text []byte) ([]byte, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`# HTTP

## Gateway

The listener for the outside; default 127.0.0.1:8080. The token is a header, Authorization: Bearer TOKEN; never a part of the URL.

| route | token | what it does |
|---|---|---|
| ` + "`POST /_/events?topic=T`" + ` | yes | takes CloudEvents in binary, structured or batch mode; a batch is stored whole or not at all; 202 with [{id, topic, partition, offset}] once they are durable |
| ` + "`POST /_/events?type=T&source=S&subject=U&key=K&id=I&time=Z`" + ` | yes | takes any body as the data of an event that the URL describes; also dataschema, and ce-NAME for the extension NAME; all but type may be left out |
| ` + "`POST /_/events?notBefore=Z`" + `, ` + "`?delay=10m`" + ` | yes | in every form: the events wait until then, at most 366 days; an event's own extension ` + "`notbefore`" + ` goes before it. The answer has an id by which to cancel, as ` + "`delayed`" + ` |
| ` + "`ANY /_/fn/NAME[/...]`" + ` | yes | calls a function and gives its answer |
| ` + "`ANY /_/fn/NAME:ALIAS[/...]`" + `, ` + "`/_/fn/NAME:3[/...]`" + ` | yes | calls an alias of it, or a version; the slashes of an alias's name may be written as they are |
| ` + "`GET`, `DELETE /_/runs/ID`" + ` | the route's | what became of a request that is answered later; cancels it. See [async.md](../async.md) |
| ` + "`GET /_/runs/ID/answer`" + ` | the route's | the function's answer to it |
| ` + "`GET /_/openapi.json`" + ` | yes | all routes of the host's environment as one OpenAPI document; see [openapi.md](../openapi.md) |
| ` + "`GET /_/health`" + ` | no | 200 when every part of the node works and its grade is healthy or degraded, else 503; the body says what ([health](../health.md)) |
| ` + "`GET /_/health/ready`" + ` | no | 200 when every part works, else 503 |
| ` + "`GET /_/health/live`" + ` | no | 200 |
| every other path | no | the routes of functions |

| header | where | meaning |
|---|---|---|
| ` + "`Dalamb-Alias`" + ` | request to /_/fn/ | the alias to call; live by default |
| ` + "`Dalamb-Key`" + ` | request to /_/fn/, Invoke | whose call it is: while an alias has several versions, the calls of a key meet the same one |
| ` + "`Dalamb-Run`" + ` | answer of a function | the id of the call, as in _dalamb.requests and for dalamb logs NAME --run |
| ` + "`Traceparent`" + ` | request | W3C Trace Context; the function gets it, and so do events that it emits. Made where it is missing |
| ` + "`Retry-After`" + ` | 503 | seconds to wait |

Of a call the request and the answer are kept in _dalamb.requests: bodies up to 64 KiB, without what authorization, proxy-authorization,
cookie, set-cookie, x-api-key and the headers of the setting redact say. An event has at most 1 MiB, a batch 8 MiB, a request to a function
6 MiB (settings limits.*); a function's answer at most 6 MiB.

## Control

The listener for people and tools; default 127.0.0.1:8081. Everything needs the token (Authorization: Bearer), GET /metrics
([metrics](../metrics.md)) too, but GET /_/health, /_/health/ready and /_/health/live, and the pages of the [console](../console.md), where a person signs in with it. Below /v2/ it is a registry of images ([registry](../registry.md)), with errors in that protocol's shape. The OpenAPI document is served at /v1/openapi.json, and stands beside this page. An error's body is
{"error": {"kind", "message", "hint"}}.

| route | query | what it does |
|---|---|---|
`)
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			op := d.Paths[path][method]
			var query []string
			for _, p := range op.Parameters {
				if p.In == "query" {
					query = append(query, "`"+p.Name+"`: "+p.Description)
				}
			}
			fmt.Fprintf(&b, "| `%s %s` | %s | %s |\n", strings.ToUpper(method), path, strings.Join(query, "<br>"), op.Summary)
		}
	}
	return b.Bytes(), nil
}
