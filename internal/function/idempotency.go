package function

import (
	"maps"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Idempotency has a request that changes something run once, however often it comes with the same Idempotency-Key.
// draft-ietf-httpapi-idempotency-key-header-07.
type Idempotency struct {
	Keep     Duration `json:"keep"`               // how long an answer is given again
	Required bool     `json:"required,omitempty"` // a request without a key is refused
}

// TopicIdempotency holds the keys that were used, and the answers; the key of a record is a digest, never what a client has sent.
const TopicIdempotency = "_dalamb.idempotency"

// MaxKeep is the longest Idempotency.Keep. The topic keeps its records so long.
const MaxKeep = 7 * 24 * time.Hour

// HeaderIdempotencyKey is where a client says by which key it knows its request again.
const HeaderIdempotencyKey = "Idempotency-Key"

// HeaderReplayed says that an answer was given before. It is Stripe's: the draft names none.
const HeaderReplayed = "Idempotent-Replayed"

func defaultIdempotency() Idempotency { return Idempotency{Keep: Duration(24 * time.Hour)} }

// idempotencyValue reads true as the defaults, since that is what most people want.
func idempotencyValue() value[*Idempotency] {
	settings := object(nil,
		field("keep", "How long an answer is given again, from 1m to 7d. Default: 24h.", duration(), func(i *Idempotency) *Duration { return &i.Keep }),
		field("required", "Whether a request without a key is refused. Default: false, it is run each time.", truth(), func(i *Idempotency) *bool { return &i.Required }),
	)
	word := scalar("true or false", nil, func(s string, into **Idempotency) error {
		*into = nil
		on, err := strconv.ParseBool(s)
		if on {
			i := defaultIdempotency()
			*into = &i
		}
		return err
	}, "!!bool")
	schema := maps.Clone(settings.schema)
	schema["type"] = []string{"boolean", "object"}
	return value[*Idempotency]{schema, func(p *parser, n *yaml.Node, at string, into **Idempotency) {
		said := n
		if n.Kind == yaml.AliasNode {
			said = n.Alias
		}
		if said.Kind == yaml.ScalarNode && said.ShortTag() == "!!bool" {
			word.read(p, n, at, into)
			return
		}
		pointer(settings, defaultIdempotency).read(p, n, at, into)
	}}
}

func (c *checker) idempotency(at string, r *Route) {
	i := r.Idempotency
	if i == nil {
		return
	}
	between(c.at(at+".keep"), i.Keep, Duration(time.Minute), Duration(MaxKeep))
	switch {
	case r.Method != "" && SafeMethod(r.Method):
		c.add(at, "remove it", "a %s changes nothing, and may come as often as it likes", r.Method)
	case r.Redirect != nil || r.Static != nil:
		c.add(at, "remove it", "a route that asks no function runs nothing twice")
	case r.Scatter != nil:
		c.add(at, "remove it; let each function know its requests again", "what several functions answer together does not say what each of them has done")
	}
}
