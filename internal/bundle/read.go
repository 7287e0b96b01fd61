package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Opened is a file that was read and found to be a bundle.
type Opened struct {
	Bundle
	file *os.File
	code map[string]place // digest -> where its archive is in the file

	blobs map[string]place // digest -> where that content is in the file
}

type place struct{ from, size int64 }

// codeName is how an archive of code is called; everything else that may be there has a fixed name.
var codeName = regexp.MustCompile(`^code/sha256-([0-9a-f]{64})\.tar$`)

// Open reads a bundle, which anybody may have made, and checks all of it before it returns: no entry but those that a bundle has, none larger than it
// may be, each with the size and the digest that the manifest says. Nothing is written, and no name in it is ever a path on this machine.
func Open(path string) (*Opened, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no bundle %s", path).WithHint("dalamb export --trace ID -o FILE makes one")
	}
	if err != nil {
		return nil, fmt.Errorf("open bundle %s: %w", path, err)
	}
	o := &Opened{file: f, code: map[string]place{}, blobs: map[string]place{}}
	if err := o.read(); err != nil {
		f.Close()
		return nil, fault.New(fault.Invalid, "%s is no bundle that can be used: %w", path, err).WithHint("have it exported again, by dalamb export")
	}
	return o, nil
}

func (o *Opened) read() error {
	r := tar.NewReader(o.file)
	first, err := next(r)
	if err != nil {
		return err
	}
	if first.Name != "manifest.json" || first.Size > maxFirst {
		return fmt.Errorf("its first entry is %q of %d bytes; wanted manifest.json, of at most %d", fault.Clip(first.Name), first.Size, maxFirst)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read manifest.json: %w", err)
	}
	if err := strict(text, &o.Manifest); err != nil {
		return fmt.Errorf("manifest.json: %w", err)
	}
	if o.Manifest.Format != Format {
		return fmt.Errorf("it is of format %d, and this dalamb reads format %d", o.Manifest.Format, Format)
	}
	if len(o.Manifest.Files) > maxFiles {
		return fmt.Errorf("it has %d entries, and at most %d can be", len(o.Manifest.Files), maxFiles)
	}
	var held, code int64
	for i, f := range o.Manifest.Files {
		h, err := next(r)
		if err != nil {
			return err
		}
		if h.Name != f.Path || h.Size != f.Size {
			return fmt.Errorf("its entry %d is %q of %d bytes, and the manifest says %q of %d", i+1, fault.Clip(h.Name), h.Size, fault.Clip(f.Path), f.Size)
		}
		if i < len(parts()) {
			if held += f.Size; held > MaxParts || f.Size > MaxPart {
				return fmt.Errorf("%s is too large: %d bytes", f.Path, f.Size)
			}
			err = o.take(r, parts()[i], f)
		} else {
			switch {
			case blobName.MatchString(f.Path):
			case f.Path == layoutPath || f.Path == indexPath:
				if f.Size > maxFirst {
					return fmt.Errorf("%s is too large: %d bytes", f.Path, f.Size)
				}
			default:
				if code += f.Size; code > MaxCodes || f.Size > MaxCode {
					return fmt.Errorf("%s is too large: %d bytes", fault.Clip(f.Path), f.Size)
				}
			}
			err = o.pass(r, f)
		}
		if err != nil {
			return err
		}
	}
	if len(o.Manifest.Files) < len(parts()) {
		return fmt.Errorf("it lacks %s", parts()[len(o.Manifest.Files)].path)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		return errors.New("it has entries that the manifest does not name")
	}
	return o.whole()
}

// next is the header of an entry, which is a plain file.
func next(r *tar.Reader) (*tar.Header, error) {
	h, err := r.Next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it ends early")
	}
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	if h.Typeflag != tar.TypeReg {
		return nil, fmt.Errorf("its entry %q is no plain file", fault.Clip(h.Name))
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") { // its bytes are not where its size says
			return nil, fmt.Errorf("its entry %q has holes", fault.Clip(h.Name))
		}
	}
	return h, nil
}

// take reads an entry that is no code.
func (o *Opened) take(r io.Reader, p part, f File) error {
	if f.Path != p.path {
		return fmt.Errorf("it has %q in the place of %s", fault.Clip(f.Path), p.path)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read %s: %w", p.path, err)
	}
	sum := sha256.Sum256(text)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != f.Digest {
		return notAsSaid(f.Path)
	}
	if err := json.Unmarshal(text, p.of(&o.Bundle)); err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return nil
}

// pass checks an archive of code, or content of an image, and keeps where it is.
func (o *Opened) pass(r io.Reader, f File) error {
	code, blob := codeName.FindStringSubmatch(f.Path), blobName.FindStringSubmatch(f.Path)
	if code == nil && blob == nil && f.Path != layoutPath && f.Path != indexPath {
		return fmt.Errorf("it has %q, which no bundle has", fault.Clip(f.Path))
	}
	from, err := o.file.Seek(0, io.SeekCurrent) // the reader of the archive has read its header, and no more
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != f.Digest {
		return notAsSaid(f.Path)
	}
	switch {
	case code != nil:
		digest := "sha256:" + code[1]
		o.Code = append(o.Code, digest)
		return once(o.code, digest, place{from, f.Size})
	case blob != nil:
		digest := "sha256:" + blob[1]
		if f.Digest != digest {
			return notAsSaid(f.Path)
		}
		o.Content = append(o.Content, Blob{digest, f.Size})
		return once(o.blobs, digest, place{from, f.Size})
	}
	return nil
}

func once(all map[string]place, digest string, at place) error {
	if _, twice := all[digest]; twice {
		return fmt.Errorf("it has %s twice", digest)
	}
	all[digest] = at
	return nil
}

func notAsSaid(path string) error {
	return fmt.Errorf("%s is not what the manifest says: another digest", path)
}

// whole checks that what the parts name is there.
func (o *Opened) whole() error {
	ids := map[string]bool{}
	for i := range o.Events {
		r := o.Events[i].Record()
		if e := eventOf(&r); e != nil {
			ids[e.ID] = true
		}
	}
	for _, id := range o.Manifest.Sources {
		if !ids[id] {
			return fmt.Errorf("its source event %s is not in it", fault.Clip(id))
		}
	}
	for _, digest := range o.Manifest.Packed {
		if _, ok := o.blobs[digest]; !ok {
			return fmt.Errorf("the manifest %s of a packed image is not in it", fault.Clip(digest))
		}
	}
	for i := range o.Functions {
		f := &o.Functions[i]
		v := f.Chosen()
		if v == nil {
			return fmt.Errorf("version %d of %s is not in it", f.Version, fault.Clip(f.Name))
		}
		if v.Spec.Name != f.Name {
			return fmt.Errorf("version %d of %s is one of %s", f.Version, fault.Clip(f.Name), fault.Clip(v.Spec.Name))
		}
	}
	return nil
}

// Archive reads the archive of a code directory; NotFound when it is not here.
func (o *Opened) Archive(digest string) (io.ReadCloser, error) {
	at, ok := o.code[digest]
	if !ok {
		return nil, fault.New(fault.NotFound, "the bundle has no code %s", fault.Clip(digest)).WithHint("the node that it was exported from had it no more: %s", strings.Join(o.Manifest.Missing, "; "))
	}
	return io.NopCloser(io.NewSectionReader(o.file, at.from, at.size)), nil
}

// Close ends the use of the file.
func (o *Opened) Close() error { return o.file.Close() }

// strict decodes JSON that may have nothing but what is known, once.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind its end")
	}
	return nil
}
