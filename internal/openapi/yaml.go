package openapi

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// YAML is a document, which is JSON, in YAML.
func YAML(document []byte) ([]byte, error) {
	var top yaml.Node
	if err := yaml.Unmarshal(document, &top); err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	plainStyle(&top)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&top); err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	return b.Bytes(), e.Close()
}

// plainStyle takes JSON's brackets and quotes away; text that would be taken for something else gets quotes again.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}
