package app

import (
	"sync"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/secret"
)

// opened gives the gateway the secrets that its routes need. Each revision is opened once: to decrypt takes longer than to check a signature.
type opened struct {
	catalog *catalog.Catalog
	secrets *secret.Box

	mu    sync.Mutex
	known map[string]openSecret
}

type openSecret struct {
	text     []byte
	revision int64
}

func (o *opened) open(name string) (text []byte, revision int64, err error) {
	one, err := o.catalog.View().Secret(name)
	if err != nil {
		return nil, 0, err
	}
	o.mu.Lock()
	have, ok := o.known[name]
	o.mu.Unlock()
	if ok && have.revision == one.Offset {
		return have.text, have.revision, nil
	}
	if text, err = o.secrets.Open(name, *one.Sealed); err != nil {
		return nil, 0, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known == nil {
		o.known = map[string]openSecret{}
	}
	o.known[name] = openSecret{text, one.Offset}
	return text, one.Offset, nil
}
