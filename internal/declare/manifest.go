package declare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/function"
)

// Manifest writes a Spec as a manifest, without what is the default anyway. Read again it is the same Spec; that is tried here.
func Manifest(spec *function.Spec, code string) ([]byte, error) {
	written := *spec
	if spec.Rollout != nil && spec.Rollout.Shadow == nil {
		written.Rollout = spec.Rollout.Meant()
		written.Rollout.Gates.Differences = 0 // which JSON leaves out: without a shadow a manifest cannot have it
	}
	text, err := json.Marshal(&written)
	if err != nil {
		return nil, fmt.Errorf("encode function %s: %w", spec.Name, err)
	}
	doc, err := ordered(json.NewDecoder(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("encode function %s: %w", spec.Name, err)
	}
	if code != "" {
		doc.Content = append(doc.Content[:2:2], append([]*yaml.Node{scalar("code"), scalar(code)}, doc.Content[2:]...)...)
	}
	if spec.Scale.Freeze == 0 { // which JSON leaves out, and a manifest without it means another
		set(doc, "scale", "freeze", "0s")
	}
	m := manifest{root: doc, want: spec, code: code}
	if err := m.check(); err != nil {
		return nil, err
	}
	m.shorten(doc)
	return m.text()
}

// manifest is one in the making.
type manifest struct {
	root *yaml.Node
	want *function.Spec
	code string // path of its directory; "" = none
}

func (m *manifest) text() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(m.root); err != nil {
		return nil, fmt.Errorf("write the manifest of %s: %w", m.want.Name, err)
	}
	return b.Bytes(), nil
}

// check says why what stands here is not the Spec.
func (m *manifest) check() error {
	text, err := m.text()
	if err != nil {
		return err
	}
	got, err := function.ParseManifest(manifestFile, text)
	if err != nil {
		return fmt.Errorf("function %s cannot be written as a manifest: %w", m.want.Name, err)
	}
	if len(got.Functions) != 1 || got.Functions[0].CodePath != m.code || !same(&got.Functions[0].Spec, m.want) {
		return fmt.Errorf("function %s cannot be written as a manifest: read again it is another", m.want.Name)
	}
	return nil
}

// same compares what two Specs mean, the way to the version included.
func same(a, b *function.Spec) bool {
	return a.Digest("", "") == b.Digest("", "") && reflect.DeepEqual(a.Rollout.Meant(), b.Rollout.Meant())
}

// shorten leaves out of a mapping what goes without saying: that without which the manifest means the same.
func (m *manifest) shorten(n *yaml.Node) {
	for i := 0; i < len(n.Content); {
		if n.Kind == yaml.SequenceNode {
			m.shorten(n.Content[i])
			i++
			continue
		}
		if n.Kind != yaml.MappingNode {
			return
		}
		whole := n.Content
		n.Content = append(whole[:i:i], whole[i+2:]...)
		if m.check() == nil {
			continue
		}
		n.Content = whole
		if !keeps(whole[i].Value) {
			m.shorten(whole[i+1])
		}
		i += 2
	}
}

// keeps names the fields whose parts all mean something.
func keeps(field string) bool { return field == "filter" || field == "env" }

// set adds a field to a mapping in doc, which has that mapping.
func set(doc *yaml.Node, mapping, field, value string) {
	for i := 0; i+1 < len(doc.Content); i += 2 {
		if doc.Content[i].Value == mapping {
			doc.Content[i+1].Content = append(doc.Content[i+1].Content, scalar(field), scalar(value))
		}
	}
}

func scalar(text string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(text)
	return n
}

// ordered reads JSON as YAML, its members in their order.
func ordered(d *json.Decoder) (*yaml.Node, error) {
	d.UseNumber()
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		return container(d, t)
	case string:
		return scalar(t), nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(t.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(t)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

func container(d *json.Decoder, open json.Delim) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if open == '[' {
		n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	}
	plain := true
	for d.More() {
		v, err := ordered(d)
		if err != nil {
			return nil, err
		}
		if v.Tag == "!!null" && n.Kind == yaml.MappingNode && len(n.Content)%2 == 1 {
			n.Content = n.Content[:len(n.Content)-1] // nothing is the same as not said
			continue
		}
		plain = plain && v.Kind == yaml.ScalarNode
		n.Content = append(n.Content, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if n.Kind == yaml.SequenceNode && plain {
		n.Style = yaml.FlowStyle
	}
	return n, nil
}

// changes lists the fields in which two Specs differ, each with what it was and is. Of the values of variables nothing is told.
func changes(have, want *function.Spec) []string {
	a, b := leaves(have), leaves(want)
	var list []string
	for _, path := range union(a, b) {
		x, was := a[path]
		y, is := b[path]
		switch {
		case was && is && reflect.DeepEqual(x, y):
		case strings.HasPrefix(path, "env.") && was && is:
			list = append(list, path+": another value")
		case strings.HasPrefix(path, "env.") && is:
			list = append(list, path+": new")
		case strings.HasPrefix(path, "env."):
			list = append(list, path+": removed")
		default:
			list = append(list, fmt.Sprintf("%s: %s -> %s", path, orAbsent(x, was), orAbsent(y, is)))
		}
	}
	return list
}

func orAbsent(v any, there bool) string {
	if !there {
		return "(absent)"
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}
