package backup

import (
	"context"
	"errors"
	"io"
)

// resumptions is how often an object is asked for again, from where its answer broke off, without a byte in between.
const resumptions = 3

// download reads an object, over as many connections as that takes: a restore of hours does not end with the first one that breaks.
type download struct {
	from  func(offset int64) (body io.ReadCloser, err error)
	fault func(error) error // what a person is told when it breaks off for good

	body   io.ReadCloser
	offset int64
	size   int64
	failed int // times since the last byte
}

func (b *bucket) read(ctx context.Context, name string) (io.ReadCloser, error) {
	body, info, _, err := b.get(ctx, name, 0, "")
	if err != nil {
		return nil, err
	}
	return &download{
		body: body, size: info.Size,
		from: func(offset int64) (io.ReadCloser, error) {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			body, _, _, err := b.get(ctx, name, offset, info.ETag) // of the same object, and not of one that was put in its place
			return body, err
		},
		fault: func(err error) error { return b.refused("read "+name, err) },
	}, nil
}

func (d *download) Read(p []byte) (n int, err error) {
	for {
		n, err = d.body.Read(p)
		d.offset += int64(n)
		if n > 0 {
			d.failed = 0
			if err == nil || errors.Is(err, io.EOF) {
				return n, err
			}
			return n, nil // the next call meets the error again, or goes on
		}
		if err == nil || errors.Is(err, io.EOF) && d.offset >= d.size {
			return 0, err
		}
		if d.failed++; d.failed > resumptions {
			return 0, d.fault(err)
		}
		body, again := d.from(d.offset)
		if again != nil {
			return 0, again
		}
		d.body.Close() // what it says no longer matters
		d.body = body
	}
}

func (d *download) Close() error { return d.body.Close() }
