package image

import "testing"

// For the tests of tries to get out, which are outside of the package.

// Bound gives layers smaller bounds than their own.
func (l *Layers) Bound(bytes int64, entries int) { l.maxBytes, l.maxEntries = bytes, entries }

// Overlong is an archive that becomes larger than a layer may be with its headers, where its files may have 1 MiB.
func Overlong(t testing.TB, archive []byte) []byte { return overlong(t, archive) }

// SparseArchive is small, and holds a file of 999 GB.
func SparseArchive() []byte { return sparseArchive() }

// RawHeader is that of an archive whose content may be missing.
func RawHeader(name string, kind byte, size int) []byte { return rawHeader(name, kind, size) }
