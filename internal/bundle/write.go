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

// Stores have what a bundle names by digest.
type Stores struct {
	// Code writes the canonical archive of a code directory. It is asked for twice, once to know the size.
	Code func(digest string, w io.Writer) error
	// Content opens a blob of the packed images; nil where none are packed.
	Content func(digest string) (io.ReadCloser, error)
}

// Write writes a bundle: the manifest's Files are those that it writes.
func Write(w io.Writer, b *Bundle, from Stores) error {
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
		if err := from.Code(digest, n); err != nil {
			return fmt.Errorf("pack code %s: %w", digest, err)
		}
		if whole += n.n; whole > MaxCodes || n.n > MaxCode {
			return fault.New(fault.TooLarge, "the bundle would have more than %d MiB of code, at %s", MaxCodes>>20, digest)
		}
		m.Files = append(m.Files, File{codePath(digest), n.n, "sha256:" + hex.EncodeToString(sum.Sum(nil))})
	}
	layout, err := layoutOf(b)
	if err != nil {
		return err
	}
	for _, l := range layout {
		sum := sha256.Sum256(l.text)
		m.Files = append(m.Files, File{l.path, int64(len(l.text)), "sha256:" + hex.EncodeToString(sum[:])})
	}
	for _, c := range b.Content {
		m.Files = append(m.Files, File{blobPath(c.Digest), c.Size, c.Digest})
	}
	if len(m.Files) > maxFiles {
		return fault.New(fault.TooLarge, "the bundle would have %d entries, and at most %d can be", len(m.Files), maxFiles).WithHint("take less of the trace: name an event further down")
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
		if err := from.Code(digest, out); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	for _, l := range layout {
		if err := put(out, l.path, l.text); err != nil {
			return err
		}
	}
	for _, c := range b.Content {
		if err := putBlob(out, c, from.Content); err != nil {
			return fmt.Errorf("write %s: %w", blobPath(c.Digest), err)
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
