package function

import (
	"io"
	"os"
)

// ReadManifest reads the file of a manifest for ParseManifest: of one that is too large, or has no end, no more than that needs to refuse it.
func ReadManifest(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxManifest+1))
}
