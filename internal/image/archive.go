package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/dalamb/dalamb/internal/fault"
)

// zstdWindow is how much memory a zstd stream may ask for; `zstd --ultra -22` asks for this much.
const zstdWindow = 128 << 20

// layerArchive is a layer's tar archive on its way out of the compression that it came in.
type layerArchive struct {
	sent  *counter // as it came
	plain *counter // as a tar archive
	tar   *tar.Reader
	close func()
}

// newArchive tells the compression by its first bytes, because media types are often wrong. // OCI image-spec layer.md
// More than most bytes of archive, headers and all, are not read.
func newArchive(r io.Reader, most int64) (*layerArchive, error) {
	a := &layerArchive{sent: newCounter(r), close: func() {}}
	buffered := bufio.NewReaderSize(a.sent, 1<<16)
	head, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var plain io.Reader = buffered
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952, section 2.3.1
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, broken(err)
		}
		plain = z
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878, section 3.1.1
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, broken(err)
		}
		plain, a.close = z, z.Close
	}
	a.plain = newCounter(&bounded{plain, most})
	a.tar = tar.NewReader(a.plain)
	return a, nil
}

// bounded ends with an error, not with an end of file, where r has more than left bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, tooManyBytes()
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// verify reads what comes after the end of the archive, and compares both digests.
func (a *layerArchive) verify(s LayerSource) error {
	if _, err := io.Copy(io.Discard, a.plain); err != nil {
		return a.explain(err)
	}
	if _, err := io.Copy(io.Discard, a.sent); err != nil {
		return err
	}
	if got := a.sent.digest(); s.Digest != "" && got != s.Digest {
		return notAsAnnounced(got, s.Digest, a.sent.n)
	}
	if got := a.plain.digest(); got != s.DiffID {
		return fault.New(fault.Invalid, "unpacked it is %s, not what the image's config says", got).
			WithHint("the image was built wrong; build it again")
	}
	return nil
}

// explain tells what the sender did from what this machine did: only what is wrong behind the bytes as they came is the sender's.
func (a *layerArchive) explain(err error) error {
	switch {
	case a.sent.err != nil, fault.KindOf(err) == fault.TooLarge:
		return err
	case a.plain.err != nil, errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong), errors.Is(err, io.ErrUnexpectedEOF):
		return broken(err)
	}
	return err
}

func broken(err error) error {
	return fault.New(fault.Invalid, "it is not a whole tar archive: %w", err).WithHint("it was cut short or changed on its way; push or pull the image again")
}

func tooManyBytes() error {
	return fault.New(fault.TooLarge, "it has more than %d MiB", int64(MaxLayerBytes)>>20).WithHint("make the image smaller")
}
