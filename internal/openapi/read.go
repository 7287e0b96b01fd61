package openapi

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/yamlfault"
)

// Bounds that no honest document meets. They keep aliases of YAML, which can repeat and contain themselves, from growing without end.
const (
	maxNodes = 400_000
	maxDepth = 100
)

// read makes a tree of the text: objects, lists, text, json.Number, truth values, nil.
func (d *Document) read(text []byte) error {
	if json.Valid(text) {
		text = bytes.ReplaceAll(text, []byte("\t"), []byte(" ")) // there are none within its strings, and YAML has none between its words
	}
	var top yaml.Node
	if err := yaml.Unmarshal(text, &top); err != nil {
		f := yamlfault.Find(text, err)
		return fault.New(fault.Invalid, "%s:%d:%d: not valid YAML: %s", d.name, f.Line, f.Column, f.Message).WithHint("%s", f.Hint)
	}
	if top.Kind != yaml.DocumentNode || len(top.Content) == 0 {
		return fault.New(fault.Invalid, "%s is empty", d.name)
	}
	d.lines = top.Content[0]
	r := &treeReader{d: d}
	tree, err := r.value(d.lines, 0)
	if err != nil {
		return err
	}
	var is bool
	if d.root, is = tree.(map[string]any); !is {
		return fault.New(fault.Invalid, "%s is no OpenAPI document: it is no mapping", d.name)
	}
	return nil
}

type treeReader struct {
	d     *Document
	nodes int
}

func (r *treeReader) fail(n *yaml.Node, format string, args ...any) error {
	return fault.New(fault.Invalid, "%s:%d: "+format, append([]any{r.d.name, max(1, n.Line)}, args...)...)
}

func (r *treeReader) value(n *yaml.Node, depth int) (any, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, r.fail(n, "the document nests too deeply or repeats too much by aliases: at most %d levels and %d values", maxDepth, maxNodes)
	}
	switch n.Kind {
	case yaml.MappingNode:
		object := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null" {
				return nil, r.fail(key, "a key must be text")
			}
			if key.ShortTag() == "!!merge" {
				return nil, r.fail(key, "merge keys are not supported; a whole value can be repeated by an alias")
			}
			if _, twice := object[key.Value]; twice {
				return nil, r.fail(key, "%q is given twice", fault.Clip(key.Value))
			}
			v, err := r.value(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			object[key.Value] = v
		}
		return object, nil
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			var err error
			if list[i], err = r.value(c, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return r.scalar(n)
}

func (r *treeReader) scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strconv.ParseBool(n.Value)
	case "!!int":
		if i, ok := new(big.Int).SetString(n.Value, 0); ok && !json.Valid([]byte(n.Value)) {
			return json.Number(i.String()), nil
		}
		fallthrough
	case "!!float":
		if usable(n.Value) {
			return json.Number(n.Value), nil
		}
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f-f == 0 { // neither infinite nor NaN
			return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
		}
		return nil, r.fail(n, "%q is no number that JSON has", fault.Clip(n.Value))
	}
	return n.Value, nil
}
