package image

// For the tests of tries to get out, which are outside of the package.

// Bound gives layers smaller bounds than their own.
func (l *Layers) Bound(bytes int64, entries int) { l.maxBytes, l.maxEntries = bytes, entries }

// HeaderRoom is how much more than its files a layer's archive may be.
const HeaderRoom = headerRoom

// SparseArchive is small, and holds a file of 999 GB.
func SparseArchive() []byte { return sparseArchive() }

// RawHeader is that of an archive whose content may be missing.
func RawHeader(name string, kind byte, size int) []byte { return rawHeader(name, kind, size) }
