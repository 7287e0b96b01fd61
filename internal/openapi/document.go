// Package openapi owns OpenAPI documents, of versions 3.0 and 3.1: it reads them, holds requests and answers against them, makes up answers from them,
// and puts several of them together. It fetches nothing: what a document refers to has to be in the document. It serves nothing, and does not know
// where documents are kept.
package openapi

import (
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
)

// MaxBytes is how long the text of a document may be.
const MaxBytes = 4 << 20

// Document is one that was read whole and is sound. It never changes. Safe for concurrent use.
type Document struct {
	name       string // for messages
	lines      *yaml.Node
	root       map[string]any // as it was written
	legacy     bool           // version 3.0, whose schemas are of another dialect
	bases      []string       // paths of its servers, without a slash at the end; the longest first
	paths      index
	operations []*Operation
	uses       []use // of schemas, in requests and answers
	// sets are compiled, for each direction, of which as many may be in use at a time: requests do not wait for answers that are looked at. nil = not
	// compiled yet.
	sets [2]chan *schemas
}

// Parse reads a document, in YAML or JSON. The error names the line that is wrong; name is how it calls the document.
func Parse(name string, text []byte) (*Document, error) {
	if len(text) > MaxBytes {
		return nil, fault.New(fault.TooLarge, "%s has %d bytes; a document has at most %d", name, len(text), MaxBytes)
	}
	d := &Document{name: name}
	if err := d.read(text); err != nil {
		return nil, err
	}
	if err := d.checkVersion(); err != nil {
		return nil, err
	}
	if err := d.checkReferences(); err != nil {
		return nil, err
	}
	d.bases = d.serverPaths()
	if err := d.readPaths(); err != nil {
		return nil, err
	}
	first, err := d.compile()
	if err != nil {
		return nil, err
	}
	d.sets = [...]chan *schemas{
		inbound:  make(chan *schemas, max(1, runtime.GOMAXPROCS(0)/2)), // a part of the machine is left for what needs no check
		outbound: make(chan *schemas, 1),
	}
	d.sets[inbound] <- first
	for range cap(d.sets[inbound]) - 1 {
		d.sets[inbound] <- nil
	}
	d.sets[outbound] <- nil
	return d, nil
}

// Operations are all that the document describes, by path and method.
func (d *Document) Operations() []*Operation { return d.operations }

func (d *Document) checkVersion() error {
	v, _ := d.root["openapi"].(string)
	switch {
	case strings.HasPrefix(v, "3.0."):
		d.legacy = true
	case strings.HasPrefix(v, "3.1."):
	case v != "":
		return d.wrong(pointer{"openapi"}, "is %q, not 3.0.x or 3.1.x", fault.Clip(v))
	case d.root["swagger"] != nil:
		return d.wrong(pointer{"swagger"}, "the document is of Swagger 2.0").WithHint("convert it to OpenAPI 3, for instance with swagger2openapi")
	default:
		return d.wrong(nil, "names no version of OpenAPI").WithHint(`write "openapi: 3.1.0" at the top`)
	}
	return nil
}

// checkReferences wants all that is referred to within the document.
func (d *Document) checkReferences() error {
	var err error
	walk(d.root, func(n node) {
		if err != nil {
			return
		}
		for _, key := range []string{"$ref", "$dynamicRef", "$recursiveRef"} {
			ref, is := n.value[key].(string)
			if !is {
				continue
			}
			at := n.at.with(key)
			if !strings.HasPrefix(ref, "#") {
				err = d.wrong(at, "refers to %q, outside of the document", fault.Clip(ref)).WithHint("nothing is fetched: put it into the document, below components")
				return
			}
			if p, is := parsePointer(ref); is && d.lookup(p) == nil {
				err = d.wrong(at, "refers to %q, which is not there", fault.Clip(ref))
				return
			}
		}
		if n.schema && n.value["$id"] != nil {
			err = d.wrong(n.at.with("$id"), "a schema cannot have an address of its own here").WithHint("remove $id, and refer to it as #/components/schemas/NAME")
		}
	})
	return err
}

// serverPaths are what stands before the document's paths.
func (d *Document) serverPaths() []string {
	servers, _ := d.root["servers"].([]any)
	bases := []string{}
	for _, s := range servers {
		server, _ := s.(map[string]any)
		url, _ := server["url"].(string)
		if _, rest, absolute := strings.Cut(url, "://"); absolute {
			_, path, _ := strings.Cut(rest, "/")
			url = "/" + path
		}
		if url = strings.TrimRight(url, "/"); url != "" && url[0] != '/' {
			url = "/" + strings.TrimPrefix(url, "./")
		}
		if !slices.Contains(bases, url) {
			bases = append(bases, url)
		}
	}
	if len(bases) == 0 {
		bases = []string{""}
	}
	slices.SortFunc(bases, func(a, b string) int { return len(b) - len(a) })
	return bases
}

// wrong says what is wrong with the document, and where.
func (d *Document) wrong(at pointer, format string, args ...any) *fault.Error {
	place := ""
	if len(at) > 0 {
		place = " " + at.text() + ":"
	}
	args = append([]any{d.name, lineOf(d.lines, at), place}, args...)
	return fault.New(fault.Invalid, "%s:%d:%s "+format, args...)
}
