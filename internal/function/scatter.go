package function

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// HeaderShard tells a function which shard it is asked for: 3/8 is the fourth of eight. It is dalamb's own: no client can send it.
const HeaderShard = "Dalamb-Shard"

// Scatter has several functions, or one for each shard, answer a request together. Either Functions or Shards is set.
type Scatter struct {
	Functions []string     `json:"functions,omitempty"`
	Function  string       `json:"function,omitempty"` // of shards; "" = the route's own
	Shards    int          `json:"shards,omitempty"`
	By        *ScatterKey  `json:"by,omitempty"`     // what names the shards that are asked; nil = all are
	Quorum    int          `json:"quorum,omitempty"` // how many have to answer; 0 = 1
	Deadline  Duration     `json:"deadline,omitempty"`
	Hedge     *Hedge       `json:"hedge,omitempty"` // of each leaf; nil = none is asked twice
	Merge     ScatterMerge `json:"merge,omitzero"`
}

// ScatterMerge is how parts become one answer: a form, or a function that is given them. The zero value is the form that fits the leaves.
type ScatterMerge struct {
	Form     string `json:"form,omitempty"`
	Function string `json:"function,omitempty"`
}

// Forms of a merged answer.
const (
	MergeArray  = "array"  // in the order of the leaves
	MergeObject = "object" // by the names of the leaves
	MergeConcat = "concat" // one list of what the leaves list
)

// Bounds of Scatter.
const (
	MaxLeaves       = 32
	DefaultDeadline = 5 * time.Second
)

// Patience is how long parts are waited for.
func (s *Scatter) Patience() time.Duration {
	if s.Deadline == 0 {
		return DefaultDeadline
	}
	return s.Deadline.Std()
}

// Enough is how many of those that are asked have to answer.
func (s *Scatter) Enough(asked int) int { return min(max(1, s.Quorum), asked) }

// Form is how parts become one answer where no function is asked.
func (s *Scatter) Form() string {
	switch {
	case s.Merge.Form != "":
		return s.Merge.Form
	case s.Shards > 0:
		return MergeArray
	}
	return MergeObject
}

// Leaves are how many there are.
func (s *Scatter) Leaves() int { return max(len(s.Functions), s.Shards) }

func scatterValue() value[Scatter] {
	return object(nil,
		field("functions", "The functions that are asked, each with the same request; from 2 to 32.", list(text[string](), none[string]), func(s *Scatter) *[]string { return &s.Functions }),
		field("function", "shards only: the function that is asked for each. Default: the route's own.", text[string](), func(s *Scatter) *string { return &s.Function }),
		field("shards", "How often one function is asked, each time for another shard, which the header Dalamb-Shard names (0/8 is the first of 8); from 2 to 32.", whole(), func(s *Scatter) *int { return &s.Shards }),
		field("by", "shards only: what of a request holds its keys; it goes to the shards of these alone, by Kafka's murmur2. A request without one goes to all. Default: all do.", pointer(scatterKeyValue(), none[ScatterKey]), func(s *Scatter) **ScatterKey { return &s.By }),
		field("quorum", "How many of those that are asked have to answer; fewer are an error, 502 or 504. Default: 1.", count(), func(s *Scatter) *int { return &s.Quorum }),
		field("deadline", "How long they are waited for; then the answer is made of what has come, and says what is missing. Default: 5s.", duration(), func(s *Scatter) *Duration { return &s.Deadline }),
		field("hedge", "One that takes long is asked a second time, where the request only asks (GET and the like). Default: never.", pointer(hedgeValue(), defaultHedge), func(s *Scatter) **Hedge { return &s.Hedge }),
		field("merge", "What is made of the parts: array, in the order of the leaves, null for a missing one; object, by their names; concat, one list of all that they list; or {function: NAME}, which gets them and answers. Default: object, of shards array.", scatterMergeValue(), func(s *Scatter) *ScatterMerge { return &s.Merge }),
	)
}

// scatterMergeValue is a form, or a mapping that may name a function.
func scatterMergeValue() value[ScatterMerge] {
	form := text[string](MergeArray, MergeObject, MergeConcat)
	whole := object(nil,
		field("form", "array, object or concat.", form, func(m *ScatterMerge) *string { return &m.Form }),
		field("function", "The function that gets the parts and answers.", text[string](), func(m *ScatterMerge) *string { return &m.Function }),
	)
	schema := maps.Clone(whole.schema)
	schema["type"] = []string{"string", "object"}
	return value[ScatterMerge]{schema, func(p *parser, n *yaml.Node, at string, into *ScatterMerge) {
		if n.Kind == yaml.ScalarNode {
			form.read(p, n, at, &into.Form)
			return
		}
		whole.read(p, n, at, into)
	}}
}

func (c *checker) scatter(at string, t *Trigger) {
	r := t.Route
	s := r.Scatter
	if s == nil {
		return
	}
	switch {
	case r.Redirect != nil || r.Static != nil:
		c.add(at, "make a second route", "a route that asks no function has nobody to ask together")
	case r.Async != "":
		c.add(at, "remove it, or async", "what is answered later is one run of one function")
	case r.Durable:
		c.add(at, "remove it, or durable", "parts are recorded behind the answer, and durable promises more")
	case t.Emit != nil:
		c.add(at, "remove it, or emit", "what several functions answer together emits nothing")
	case r.Hedge != nil:
		c.add(at+".hedge", "write it here, and not in the route", "the route's hedge would ask all of them again for one that is slow")
	}
	c.scatterLeaves(at, r)
	if leaves := s.Leaves(); leaves >= 2 && leaves <= MaxLeaves && s.Quorum != 0 {
		between(c.at(at+".quorum"), s.Quorum, 1, leaves)
	}
	c.scatterTimes(at, r)
	if s.Hedge != nil {
		c.hedge(at+".hedge", s.Hedge, r.Method)
	}
	switch {
	case s.Merge.Function != "" && s.Merge.Form != "":
		c.add(at+".merge", "write array, object, concat or {function: NAME}", "names a form and a function")
	case s.Merge.Function != "":
		c.name(at+".merge.function", s.Merge.Function, "function")
	case s.Merge.Form != "":
		oneOf(c, at+".merge", s.Merge.Form, []string{MergeArray, MergeObject, MergeConcat})
	}
}

func (c *checker) scatterLeaves(at string, r *Route) {
	s := r.Scatter
	if (s.Functions != nil) == (s.Shards != 0) {
		c.add(at, "write {functions: [a, b]} or {shards: 8}", "names not exactly one of functions and shards")
		return
	}
	if s.Shards != 0 {
		between(c.at(at+".shards"), s.Shards, 2, MaxLeaves)
		if s.Function != "" {
			c.name(at+".function", s.Function, "function")
		}
		c.scatterKey(at+".by", r)
		return
	}
	if n := len(s.Functions); n < 2 || n > MaxLeaves {
		c.add(at+".functions", fmt.Sprintf("from 2 to %d", MaxLeaves), "names %d", n)
	}
	for i, name := range s.Functions {
		where := fmt.Sprintf("%s.functions[%d]", at, i)
		c.name(where, name, "function")
		if slices.Contains(s.Functions[:i], name) {
			c.add(where, "to ask one function several times, write shards", "%q stands there twice", clip(name))
		}
	}
	if s.Function != "" || s.By != nil {
		c.add(at, "write shards, or leave out function and by", "function and by are for shards")
	}
}

// scatterTimes wants an answer of what has come to be given before somebody else ends the wait.
func (c *checker) scatterTimes(at string, r *Route) {
	s := r.Scatter
	if s.Deadline != 0 {
		between(c.at(at+".deadline"), s.Deadline, Duration(time.Millisecond), maxRouteTime)
	}
	wait := Duration(s.Patience())
	if t := r.Timeout; t != nil {
		for _, other := range []struct {
			name string
			time Duration
		}{{"firstByte", t.FirstByte}, {"total", t.Total}} {
			if other.time != 0 && other.time <= wait {
				c.add(at+".deadline", "make it shorter", "the route's timeout.%s, %s, is over before %s", other.name, other.time, wait)
			}
		}
	}
	if s.Hedge != nil && s.Hedge.After.Percentile == 0 && s.Hedge.After.Time >= wait {
		c.add(at+".hedge.after", "make it shorter than "+wait.String(), "the deadline is over before")
	}
}

// named lists the functions of a Scatter, with the fields that name them.
func (s *Scatter) named() []Named {
	if s == nil {
		return nil
	}
	var all []Named
	for i, name := range s.Functions {
		all = append(all, Named{"functions[" + strconv.Itoa(i) + "]", name})
	}
	return append(all, Named{"function", s.Function}, Named{"merge.function", s.Merge.Function})
}

// place is the Scatter as another environment has it.
func (s *Scatter) place(name func(string) string) *Scatter {
	if s == nil {
		return nil
	}
	placed := *s
	placed.Functions = slices.Clone(s.Functions)
	for i, f := range placed.Functions {
		placed.Functions[i] = name(f)
	}
	placed.Function, placed.Merge.Function = name(s.Function), name(s.Merge.Function)
	return &placed
}
