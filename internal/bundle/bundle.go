// Package bundle owns the file in which an incident is taken elsewhere: what of the log belongs to one trace, what became of it, and the versions, rules
// and values that were there. It writes the file, reads one that anybody may have made, and compares what two of them say. It neither asks a node
// nor runs anything.
//
// The file is a tar archive whose first entry, manifest.json, has the size and the digest of every other. Nothing in it depends on when or where it
// was written: the same content is the same bytes. No secret is in it, only names.
package bundle

import (
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Format changes when a file of the one before can no longer be read as it is.
const Format = 1

// Bounds of a bundle, in bytes.
const (
	MaxPart  = 64 << 20  // one entry that is no code; together they are held in memory
	MaxParts = 96 << 20  // all of these
	MaxCode  = 512 << 20 // the archive of one code directory
	MaxCodes = 2 << 30   // all of these
	// Images have no bound here: who exports says how much there may be, and what is read is on the disk already.
	maxFiles = 2000    // entries
	maxFirst = 1 << 20 // the manifest
)

// Manifest says what is in a bundle.
type Manifest struct {
	Format  int       `json:"format"`
	ID      string    `json:"id"` // that was asked for: of an event, a run or a W3C trace
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	Sources []string  `json:"sources"`           // ids of the events with which the trace begins, in the order in which they were appended
	Secrets []string  `json:"secrets,omitempty"` // that the functions take, by name
	Images  []string  `json:"images,omitempty"`  // that functions are or run in, by reference
	Packed  []string  `json:"packed,omitempty"`  // digests of the manifests of images that are here with all of their content
	Missing []string  `json:"missing,omitempty"` // in words
	Files   []File    `json:"files"`
}

// File is an entry of the archive.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // sha256:<hex> of its bytes
}

// Bundle is all that is in the file but code.
type Bundle struct {
	Manifest  Manifest
	Trace     wire.Trace
	Events    []Event // in the order in which they were appended
	Runs      []function.Run
	Logs      []function.LogLine
	Topics    []wire.Topic
	Functions []Function
	Rules     wire.Past // functions, aliases and triggers when the trace began
	Config    []Value
	Code      []string // digests of the code directories that are here
	Content   []Blob   // of the packed images
}

// Blob is content of an image: a manifest, a config or a layer as it is sent. // OCI image-spec image-layout.md, "Blobs"
type Blob struct {
	Digest string // sha256:<hex>
	Size   int64  // bytes
}

// Event is a record of the log as it was.
type Event struct {
	Topic     string            `json:"topic"`
	Partition int32             `json:"partition"`
	Offset    int64             `json:"offset"`
	Time      time.Time         `json:"time"`
	Key       []byte            `json:"key,omitempty"`
	Headers   []eventlog.Header `json:"headers,omitempty"`
	Value     []byte            `json:"value"`
}

// EventOf is a record as it is stored.
func EventOf(r *eventlog.Record) Event {
	return Event{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Time.UTC(), Key: r.Key, Headers: eventlog.Unsealed(r.Headers), Value: r.Value}
}

// Record is the inverse of EventOf.
func (e *Event) Record() eventlog.Record {
	return eventlog.Record{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset, Time: e.Time, Key: e.Key, Headers: e.Headers, Value: e.Value}
}

// Function is a function that ran, or that one of these names.
type Function struct {
	Name     string             `json:"name"`
	Version  int                `json:"version"` // that ran first in the trace; of a function that did not run, the one that was live
	Versions []function.Version `json:"versions"`
}

// Chosen is the version of which Version is the number; nil = it is not here.
func (f *Function) Chosen() *function.Version {
	for i := range f.Versions {
		if f.Versions[i].Number == f.Version {
			return &f.Versions[i]
		}
	}
	return nil
}

// Value is a configuration value.
type Value struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// part is an entry that is no code: where it goes in the archive, and in memory.
type part struct {
	path string
	of   func(*Bundle) any // a pointer
}

// parts are the entries in their order.
func parts() []part {
	return []part{
		{"trace.json", func(b *Bundle) any { return &b.Trace }},
		{"events.json", func(b *Bundle) any { return &b.Events }},
		{"runs.json", func(b *Bundle) any { return &b.Runs }},
		{"logs.json", func(b *Bundle) any { return &b.Logs }},
		{"topics.json", func(b *Bundle) any { return &b.Topics }},
		{"functions.json", func(b *Bundle) any { return &b.Functions }},
		{"rules.json", func(b *Bundle) any { return &b.Rules }},
		{"config.json", func(b *Bundle) any { return &b.Config }},
	}
}

func encode(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", " ")
	return append(b, '\n'), err
}
