// Package image keeps the code of functions: a directory becomes one canonical archive, known by its digest, and a store
// holds each digest once, unpacked; and the content of container images, by digest too (Blobs), and their layers unpacked
// (Layers). It does not know which function uses
// what; whoever calls GC says what is still needed.
//
// # The canonical archive
//
// A PAX tar of directories, regular files and symbolic links, sorted by path, the root itself left out. Times are zero,
// owners 0 without names, modes 0755 for directories and files that their owner may execute, 0644 for other files, 0777 for
// links. A hard link is a file. So the same content gives the same bytes on every machine, and its digest is "sha256:" and
// the SHA-256 of those bytes in hex.
package image

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Bounds of one code directory.
const (
	MaxBytes   = 250 << 20 // of all files together; AWS Lambda's bound for an unpacked function
	MaxEntries = 50_000    // files, directories and links
	MaxDepth   = 100       // directories above a file
	MaxPath    = 1024      // bytes of a path below the directory, and of a link's target

	// MaxArchive is the largest archive: the content and at most 6 KiB of headers for each entry.
	MaxArchive = MaxBytes + MaxEntries*(6<<10)
)

const algorithm = "sha256:"

func digestOf(sum []byte) string { return algorithm + hex.EncodeToString(sum) }

// ParseDigest returns the hex part of a digest, or an Invalid error that says how a digest looks.
func ParseDigest(digest string) (string, error) {
	h, ok := strings.CutPrefix(digest, algorithm)
	if ok && len(h) == 2*sha256.Size && strings.Trim(h, "0123456789abcdef") == "" {
		return h, nil
	}
	return "", fault.New(fault.Invalid, "%q is not a digest", digest).
		WithHint("a digest is sha256: and 64 hexadecimal digits in lower case")
}
