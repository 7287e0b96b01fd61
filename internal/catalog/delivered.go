package catalog

import "github.com/dalamb/dalamb/internal/function"

// Deliverer is who is remembered to have moved an alias by a deploy that came from o: of dalamb deploy and other clients of the API that is the
// kind alone. nil = nobody: a push of an image brings what the function itself follows.
func Deliverer(o *function.Origin) *function.Origin {
	switch {
	case o == nil:
		return &function.Origin{Kind: function.OriginCLI}
	case o.Kind == function.OriginImage:
		return nil
	}
	return o
}

// delivered notes whose deploy moved an alias of f, which is the fold's own fresh copy; nil changes nothing.
func (f *Function) delivered(alias string, by *function.Origin) {
	switch {
	case by == nil:
	case f.Delivered == nil:
		f.Delivered = map[string]*function.Origin{alias: by}
	default:
		f.Delivered[alias] = by
	}
}
