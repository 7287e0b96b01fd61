package openapi

import (
	"errors"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dalamb/dalamb/internal/fault"
)

// address is what the compiler calls the document.
const address = "dalamb:///document"

// use is a schema that requests or answers are held against.
type use struct {
	at pointer
	to direction
}

// schemas are all of a document, compiled. Who has them is alone with them: they count what is left to do.
type schemas struct {
	compiled []*jsonschema.Schema // as Document.uses
	left     int
}

// need makes a schema one of those that are compiled, and says which one it is.
func (d *Document) need(at pointer, to direction) int {
	if i := slices.IndexFunc(d.uses, func(u use) bool { return u.to == to && slices.Equal(u.at, at) }); i >= 0 {
		return i
	}
	d.uses = append(d.uses, use{at, to})
	return len(d.uses) - 1
}

func (d *Document) compile() (*schemas, error) {
	s := &schemas{}
	compilers := [...]*jsonschema.Compiler{inbound: s.compiler(), outbound: s.compiler()}
	for to, c := range compilers {
		if err := c.AddResource(address, d.dialect(direction(to))); err != nil {
			return nil, d.refused(err)
		}
	}
	for _, u := range d.uses {
		compiled, err := compilers[u.to].Compile(address + u.at.fragment())
		if err != nil {
			return nil, d.refused(err)
		}
		s.compiled = append(s.compiled, compiled)
	}
	return s, nil
}

// errSteps ends a check that does not.
var errSteps = errors.New("too many steps")

func (s *schemas) compiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	c.AssertFormat()
	for _, f := range formats() {
		c.RegisterFormat(f)
	}
	c.RegisterFormat(&jsonschema.Format{Name: meterFormat, Validate: func(any) error {
		if s.left--; s.left < 0 {
			panic(errSteps) // the library has no other way to be stopped
		}
		return nil
	}})
	return c
}

// nothing is what can be had from outside of a document.
type nothing struct{}

func (nothing) Load(url string) (any, error) {
	return nil, fault.New(fault.Denied, "%s is outside of the document, and nothing is fetched", fault.Clip(url))
}

// refused finds the line of what the compiler does not take.
func (d *Document) refused(err error) error {
	if e, is := errors.AsType[*jsonschema.SchemaValidationError](err); is {
		at := placeOf(e.URL)
		if inner, is := errors.AsType[*jsonschema.ValidationError](e.Err); is {
			faults := faultsOf(inner, "")
			if len(faults) > 0 {
				wrong := d.wrong(append(slices.Clip(at), faults[0].at...), "the schema is none: %s", faults[0].Message)
				if strings.HasSuffix(wrong.Message, "format regex") {
					wrong = wrong.WithHint("patterns are those of RE2, without look-around and back references: a pattern must not take long, whatever it is given")
				}
				return wrong
			}
		}
		return d.wrong(at, "the schema is none")
	}
	return d.wrong(nil, "its schemas cannot be read: %w", err)
}

func placeOf(url string) pointer {
	_, fragment, _ := strings.Cut(url, "#")
	at, _ := parsePointer("#" + fragment)
	return at
}

// Bounds of the work for one value that is made of others: alternatives within alternatives double it with each level, where it is made for that.
const (
	stepsAtLeast   = 5_000
	stepsForFirst  = 100 // of the first few values
	first          = 2_000
	stepsForValues = 10 // of each
)

// check holds a value, which is made of so many, against a schema that need has numbered.
func (d *Document) check(v any, values, schema int) (faults []Fault) {
	sets := d.sets[d.uses[schema].to]
	s := <-sets
	defer func() { sets <- s }()
	if s == nil {
		var err error
		if s, err = d.compile(); err != nil { // it has compiled before
			return []Fault{{Message: "cannot be checked: " + err.Error()}}
		}
	}
	s.left = stepsAtLeast + stepsForFirst*min(values, first) + stepsForValues*values
	defer func() {
		switch p := recover(); p {
		case nil:
		case errSteps:
			faults = []Fault{{Message: "takes too long to check: it fits too many alternatives of the document"}}
		default:
			panic(p)
		}
	}()
	err := s.compiled[schema].Validate(v)
	if e, is := errors.AsType[*jsonschema.ValidationError](err); is {
		return faultsOf(e, "")
	}
	return nil
}
