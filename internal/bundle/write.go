package bundle

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Archive writes the canonical archive of a code directory.
type Archive func(digest string, w io.Writer) error

// Write writes a bundle: the manifest's Files are those that it writes. The archive of each code directory is asked for twice, once to
// know its size.
func Write(w io.Writer, b *Bundle, code Archive) error {
	m := b.Manifest
	m.Format, m.Files = Format, nil
	var texts [][]byte
	var whole int64
	for _, p := range parts() {
		text, err := encode(p.of(b))
		if err != nil {
			return fmt.Errorf("encode %s: %w", p.path, err)
		}
		if whole += int64(len(text)); whole > MaxParts || len(text) > MaxPart {
			return fault.New(fault.TooLarge, "the bundle would have more than %d MiB beside code, at %s", MaxParts>>20, p.path).
				WithHint("take less of the trace: name an event further down")
		}
		sum := sha256.Sum256(text)
		m.Files = append(m.Files, File{p.path, int64(len(text)), "sha256:" + hex.EncodeToString(sum[:])})
		texts = append(texts, text)
	}
	whole = 0
	for _, digest := range b.Code {
		sum := sha256.New()
		n := &counter{w: sum}
		if err := code(digest, n); err != nil {
			return fmt.Errorf("pack code %s: %w", digest, err)
		}
		if whole += n.n; whole > MaxCodes || n.n > MaxCode {
			return fault.New(fault.TooLarge, "the bundle would have more than %d MiB of code, at %s", MaxCodes>>20, digest)
		}
		m.Files = append(m.Files, File{codePath(digest), n.n, "sha256:" + hex.EncodeToString(sum.Sum(nil))})
	}
	first, err := encode(m)
	if err != nil {
		return fmt.Errorf("encode the manifest: %w", err)
	}
	out := tar.NewWriter(w)
	if err := put(out, "manifest.json", first); err != nil {
		return err
	}
	for i, p := range parts() {
		if err := put(out, p.path, texts[i]); err != nil {
			return err
		}
	}
	for i, digest := range b.Code {
		f := m.Files[len(texts)+i]
		if err := out.WriteHeader(header(f.Path, f.Size)); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
		if err := code(digest, out); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return out.Close()
}

func put(out *tar.Writer, path string, text []byte) error {
	err := out.WriteHeader(header(path, int64(len(text))))
	if err == nil {
		_, err = out.Write(text)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// header has nothing that differs from one time or machine to another.
func header(path string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o600, Size: size, Format: tar.FormatPAX}
}

func codePath(digest string) string { return "code/" + strings.Replace(digest, ":", "-", 1) + ".tar" }

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
