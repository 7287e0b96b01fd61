package openapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Fault is one thing in which a request or an answer differs from its document.
type Fault struct {
	In      string // path, query, header, cookie or body; "" = the whole of it
	Name    string // of the parameter
	Pointer string // in the body, or in the parameter's value, as RFC 6901 writes it; "" = all of it
	Message string // what is wrong and what is wanted, such as: is "x", not an integer
	at      pointer
}

// String is one line.
func (f Fault) String() string {
	where := f.In
	if f.Name != "" && (f.In == inPath || f.In == inQuery) {
		where += " parameter"
	}
	for _, part := range []string{f.Name, f.Pointer} {
		if part != "" {
			where = strings.TrimSpace(where + " " + part)
		}
	}
	return strings.TrimSpace(where + " " + f.Message)
}

// maxFaults is how many of one request are told.
const maxFaults = 20

// faultsOf makes one list of the tree that the library gives: what is wrong, and not what was tried. in is for all of them.
func faultsOf(e *jsonschema.ValidationError, in string) []Fault {
	var all []Fault
	gather(e, &all)
	for i := range all {
		all[i].In = in
	}
	slices.SortStableFunc(all, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Message, b.Message))
	})
	all = slices.CompactFunc(all, func(a, b Fault) bool { return a.Pointer == b.Pointer && a.Message == b.Message })
	return all[:min(len(all), maxFaults)]
}

func gather(e *jsonschema.ValidationError, all *[]Fault) {
	if len(*all) > 10*maxFaults {
		return
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		alternatives(e, all)
		return
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			add(e, all, "fits more than one of the alternatives of which it may be one")
			return
		}
		alternatives(e, all)
		return
	case *kind.Required:
		for _, name := range k.Missing {
			f := Fault{at: pointer(e.InstanceLocation).with(name), Message: "is missing"}
			f.Pointer = f.at.text()
			*all = append(*all, f)
		}
		return
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			f := Fault{at: pointer(e.InstanceLocation).with(name), Message: "is not known here"}
			f.Pointer = f.at.text()
			*all = append(*all, f)
		}
		return
	}
	if len(e.Causes) == 0 {
		add(e, all, said(e.ErrorKind))
	}
	for _, cause := range e.Causes {
		gather(cause, all)
	}
}

func add(e *jsonschema.ValidationError, all *[]Fault, message string) {
	at := pointer(e.InstanceLocation)
	*all = append(*all, Fault{at: at, Pointer: at.text(), Message: message})
}

// alternatives tells of the one that the value is nearest to: in which it gets furthest, then with the least that is wrong. Where none is nearer
// than the others, only that it fits none.
func alternatives(e *jsonschema.ValidationError, all *[]Fault) {
	type try struct {
		faults []Fault
		depth  int
	}
	var tries []try
	for _, cause := range e.Causes {
		t := try{depth: 1 << 30}
		gather(cause, &t.faults)
		for _, f := range t.faults {
			t.depth = min(t.depth, len(f.at))
		}
		tries = append(tries, t)
	}
	slices.SortStableFunc(tries, func(a, b try) int { return cmp.Or(b.depth-a.depth, len(a.faults)-len(b.faults)) })
	if len(tries) == 1 || len(tries) > 1 && (tries[0].depth > tries[1].depth || len(tries[0].faults) < len(tries[1].faults)) {
		*all = append(*all, tries[0].faults...)
		return
	}
	var first []string
	for _, t := range tries {
		if len(t.faults) > 0 && len(first) < 4 {
			first = append(first, strings.TrimSpace(strings.TrimPrefix(t.faults[0].Pointer, pointer(e.InstanceLocation).text())+" "+t.faults[0].Message))
		}
	}
	slices.Sort(first)
	add(e, all, "fits none of its alternatives: "+strings.Join(slices.Compact(first), "; or "))
}

// said are the words for one kind of fault.
func said(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "is " + k.Got + ", not " + strings.Join(k.Want, " or ")
	case *kind.Enum:
		return "is " + shown(k.Got) + ", not one of " + list(k.Want)
	case *kind.Const:
		return "is " + shown(k.Got) + ", not " + shown(k.Want)
	case *kind.Format:
		return "is " + shown(k.Got) + ", not of the format " + k.Want
	case *kind.Pattern:
		return "is " + quoted(k.Got) + ", which does not fit the pattern " + quoted(k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("has %d characters, not at least %d", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters, not at most %d", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d items, not at least %d", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d items, not at most %d", k.Got, k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("has %d properties, not at least %d", k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %d properties, not at most %d", k.Got, k.Want)
	case *kind.Minimum:
		return "is " + digits(k.Got) + ", not at least " + digits(k.Want)
	case *kind.Maximum:
		return "is " + digits(k.Got) + ", not at most " + digits(k.Want)
	case *kind.ExclusiveMinimum:
		return "is " + digits(k.Got) + ", not above " + digits(k.Want)
	case *kind.ExclusiveMaximum:
		return "is " + digits(k.Got) + ", not below " + digits(k.Want)
	case *kind.MultipleOf:
		return "is " + digits(k.Got) + ", not a multiple of " + digits(k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same item twice, at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains, *kind.MinContains:
		return "lacks an item that it has to have"
	case *kind.MaxContains:
		return "has an item too often"
	case *kind.PropertyNames:
		return "has a property that cannot be called " + quoted(k.Property)
	case *kind.DependentRequired:
		return "has " + quoted(k.Prop) + " and lacks " + strings.Join(k.Missing, ", ")
	case *kind.Not:
		return "is what it must not be"
	case *kind.FalseSchema:
		return "may not be there"
	}
	return "does not fit the document"
}

// maxShown is how much of a value is told, in bytes.
const maxShown = 60

// shown is a value as JSON, cut.
func shown(v any) string {
	if s, is := v.(string); is {
		return quoted(s)
	}
	b, err := json.Marshal(v)
	if err != nil { // values are made by readers of JSON
		return "a value"
	}
	return clip(string(b))
}

func quoted(s string) string { return strconv.Quote(clip(s)) }

func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	cut := maxShown
	for cut > maxShown-utf8.UTFMax && !utf8.RuneStart(s[cut]) { // text that is no UTF-8 has no such place
		cut--
	}
	return s[:cut] + "..."
}

func list(values []any) string {
	const most = 10
	var words []string
	for _, v := range values[:min(len(values), most)] {
		words = append(words, shown(v))
	}
	if len(values) > most {
		words = append(words, "...")
	}
	return strings.Join(words, ", ")
}

// digits is a number as people write it.
func digits(r *big.Rat) string {
	if r.IsInt() {
		return clip(r.Num().String())
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}
