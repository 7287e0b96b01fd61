package function

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/yamlfault"
)

// Manifest is what a dalamb.yaml declares: one function for each YAML document.
type Manifest struct{ Functions []Declared }

// Declared is one function of a manifest.
type Declared struct {
	Spec     Spec
	CodePath string // as written; relative to the directory of the manifest; "" = it is an image, and none that is to be built
	Deliver  *Deliver
	Build    *Build // nil = nothing is said of it; see Builds
	Line     int    // where its document begins

	portSaid bool       // by entry.port
	program  *yaml.Node // where the first word of entry.command stands
}

// Problem is one thing that is wrong, and where. File, Line and Column are zero for a Spec that came over the wire.
type Problem struct {
	File    string
	Line    int // counts from 1
	Column  int // counts from 1, in characters
	Field   string
	Message string
	Hint    string // what is allowed, or what was probably meant; may be empty
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	return b.String()
}

// ManifestError holds every problem that was found, in the order of the file. Its Error has one line for each. It unwraps to
// a *fault.Error of kind Invalid.
type ManifestError struct{ Problems []Problem }

func (e *ManifestError) Error() string { return e.join("\n") }

// Unwrap gives the problems on one line.
func (e *ManifestError) Unwrap() error { return fault.New(fault.Invalid, "%s", e.join("; ")) }

func (e *ManifestError) join(sep string) string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, sep)
}

// MaxManifest is how many bytes of a manifest are read.
const MaxManifest = 1 << 20

// ParseManifest reads a manifest strictly and fills in the defaults. file is for messages only. The error is a
// *ManifestError with all problems, and then there is no Manifest.
func ParseManifest(file string, data []byte) (*Manifest, error) {
	p := &parser{file: file, most: maxNodes, elsewhere: map[string]string{
		"functions": "the fields of a function stand at the top; several functions are several documents, with a line --- between them",
	}}
	if len(data) > MaxManifest {
		p.report(nil, "", "the manifest is too large", fmt.Sprintf("at most %d bytes are read", MaxManifest))
		return nil, p.err()
	}
	var m Manifest
	lines := map[string]int{}
	for _, doc := range p.documents(data) {
		if len(p.problems) == maxProblems {
			break // more would be a list that nobody reads
		}
		d := p.function(doc)
		if d.Spec.Name != "" {
			if line, twice := lines[d.Spec.Name]; twice {
				p.reportAt("name", fmt.Sprintf("function %q is declared twice", d.Spec.Name), fmt.Sprintf("first in line %d", line))
			}
			lines[d.Spec.Name] = p.at("name").Line
		}
		m.Functions = append(m.Functions, d)
	}
	if len(m.Functions) == 0 && len(p.problems) == 0 {
		p.report(nil, "", "the manifest declares no function", "it needs at least name and entry")
	}
	if len(p.problems) == 0 {
		p.routes(&m)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return &m, nil
}

// function reads one document, then applies the rules that Spec.Validate applies, to what could be read.
func (p *parser) function(doc *yaml.Node) Declared {
	d := defaults()
	d.Line = doc.Line
	p.positions = map[string]*yaml.Node{"": doc}
	before := len(p.problems)
	functionValue().read(p, doc, "", &d)
	if doc.Kind != yaml.MappingNode || p.reported(before, "functions") {
		return d // that has been said, and there are no fields to speak of
	}
	p.dockerfile(&d)
	d.complete(p.given)
	d.program = p.at("entry.command[0]")
	p.unnamed(&d.Spec)
	p.keepNone(&d)
	p.deliver(d.Deliver, before)
	p.builds(&d, before)
	if d.Spec.Image != "" && d.Spec.Image != ToBeBuilt && p.given("code") {
		p.reportAt("code", "a function that is an image has no code of its own", "to lay code upon an image, write base: IMAGE")
	}
	if path.IsAbs(d.CodePath) {
		p.reportAt("code", fmt.Sprintf("%q is an absolute path", clip(d.CodePath)), "it is relative to the directory of this file, such as src or ../pay")
	}
	for _, problem := range d.Spec.check() {
		if !p.reported(before, problem.Field) {
			p.reportAt(problem.Field, problem.Message, problem.Hint)
		}
	}
	p.uncompared(d.Spec.Rollout, before)
	return d
}

// unnamed refuses a name by position where it could come to mean another trigger: where there are several on topics.
func (p *parser) unnamed(s *Spec) {
	var without []string
	onTopics := 0
	for i := range s.Triggers {
		if s.Triggers[i].Route != nil {
			continue
		}
		onTopics++
		if at := fmt.Sprintf("triggers[%d].name", i); !p.given(at) {
			without = append(without, at)
		}
	}
	if onTopics < 2 {
		return
	}
	for _, at := range without {
		p.reportAt(at, "each of several triggers on topics needs a name", "progress is kept under the trigger's name")
	}
}

// reported is true when reading has complained about the field, or a part or whole of it: one mistake, one message.
func (p *parser) reported(from int, field string) bool {
	return slices.ContainsFunc(p.problems[from:], func(q Problem) bool {
		return q.Field == field || strings.HasPrefix(q.Field, field+".") || strings.HasPrefix(field, q.Field+".") || strings.HasPrefix(field, q.Field+"[")
	})
}

func (p *parser) routes(m *Manifest) {
	var routes []RouteOf
	for i := range m.Functions {
		routes = append(routes, m.Functions[i].Spec.Routes()...)
	}
	var conflict *routeConflict
	if errors.As(RouteConflict(routes), &conflict) {
		for _, d := range m.Functions {
			if d.Spec.Name == conflict.b.Function {
				p.report(&yaml.Node{Line: d.Line, Column: 1}, "triggers", conflict.Error(), "make one of both more specific")
			}
		}
	}
}

// documents splits the stream; text that is not YAML is a problem, and nothing after it is read.
func (p *parser) documents(data []byte) []*yaml.Node {
	var docs []*yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			f := yamlfault.Find(data, err)
			p.report(&yaml.Node{Line: f.Line, Column: f.Column}, "", "not valid YAML: "+f.Message, f.Hint)
			return docs
		}
		if len(doc.Content) == 1 && doc.Content[0].ShortTag() != "!!null" {
			docs = append(docs, doc.Content[0])
		}
	}
}

func defaults() Declared {
	d := Declared{CodePath: "."}
	s := &d.Spec
	s.Base, s.Network = "host", NetworkNone
	s.Resources = Resources{Memory: 128 << 20, CPU: 1, PIDs: 64, Files: 1024, Tmp: 64 << 20}
	s.Timeout = seconds(30)
	s.Scale = Scale{Max: 10, Idle: seconds(300), Freeze: defaultFreeze(), Reuse: ReuseIdle}
	return d
}

// NewTrigger is a trigger of which a manifest says nothing.
func NewTrigger() Trigger { return defaultTrigger() }

func defaultTrigger() Trigger {
	return Trigger{Order: OrderKey, Retry: Retry{Attempts: 4, Initial: seconds(0.2), Max: seconds(30), Factor: 2, MaxAge: seconds(6 * 3600)}}
}

// complete fills in the defaults that depend on other fields. given says whether a field was written.
func (d *Declared) complete(given func(field string) bool) {
	s := &d.Spec
	if s.Image != "" {
		if s.Image != ToBeBuilt {
			d.CodePath = ""
		}
		if !given("base") {
			s.Base = ""
		}
	}
	if s.Entry.Type == EntryHTTP && !given("entry.port") && s.ImageRef() == "" {
		s.Entry.Port = 8080
	}
	if !given("entry.concurrency") {
		s.Entry.Concurrency = 1
		if s.Entry.Type == EntryHTTP {
			s.Entry.Concurrency = 16
		}
	}
	if s.Entry.Once() && !given("scale.reuse") {
		s.Scale.Reuse = ReuseNever
	}
	if s.Rollout != nil {
		s.Rollout.complete(func(field string) bool { return given("rollout." + field) })
	}
	for i := range s.Triggers {
		t, at := &s.Triggers[i], fmt.Sprintf("triggers[%d]", i)
		kind := "t"
		switch {
		case t.Schedule != "":
			if !given(at + ".catchUp") {
				t.CatchUp = CatchUpLast
			}
		case t.Route == nil && !given(at+".topic"):
			t.Topic = "events"
		case t.Route != nil:
			kind = "route"
			if !given(at + ".order") {
				t.Order = ""
			}
			if !given(at + ".retry") {
				t.Retry = Retry{}
			}
		}
		if !given(at + ".name") {
			t.Name = kind + strconv.Itoa(i)
		}
	}
}
