package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/dalamb/dalamb/internal/fault"
)

// holding is what the object `lock` says. A store has no locks that end with their holder, so this one has to be renewed: by a write that the store takes only
// where the object is the one that its writer saw last (If-Match). Who wants to write takes the place where the object says that it is free, or where nobody has
// renewed it for the time of a lease, by the clock of the store. A holder that was only slow, or frozen, finds that its next renewal is not taken. It asks for
// one before its list counts and before it removes anything.
type holding struct {
	Holder  string `json:"holder"` // a random name; "" = the place is free
	By      string `json:"by"`     // for people
	Renewed int    `json:"renewed"`
}

// lease keeps a bucket's place for one writer. Its fields belong to the goroutine of renew.
type lease struct {
	at   *bucket
	id   string  // of this holder
	mine holding // as it was last written, or is to be
	etag string  // of the object, as it was last written
	last time.Time

	ask  chan question
	done chan struct{} // closed when renew has returned
	stop context.CancelFunc
}

// question is whether the place is still held.
type question struct {
	now    bool // the store is asked, and not only what is known of a moment ago
	answer chan error
}

// patience is for what is asked of a store when the command has been told to end.
const patience = 10 * time.Second

// errTaken says that a write was not taken because of what is there.
var errTaken = errors.New("somebody else has written there")

// heeds sees to it that the store refuses a write over an object that is no longer the one that its writer saw. Without that nobody who was frozen would learn that the
// place is another's.
func (b *bucket) heeds(ctx context.Context) error {
	const nobodys = "00000000000000000000000000000000" // the ETag of no object that is there
	switch _, err := b.put(ctx, formatFile, []byte(format), nobodys); {
	case err == nil:
		return fault.New(fault.Invalid, "%s writes what it was told to write only over another object (If-Match): two backups at a time could destroy each other", b.endpoint).
			WithHint("use a store that knows conditional writes; docs/backup.md")
	case !errors.Is(err, errTaken):
		return err
	}
	return nil
}

// take gets the place, or says who has it. The context that it returns ends when the place is lost; close ends it, too.
func (b *bucket) take(ctx context.Context, by string) (context.Context, *lease, error) {
	l := &lease{at: b, id: rand.Text(), ask: make(chan question), done: make(chan struct{})}
	l.mine = holding{Holder: l.id, By: by}
	now, age, etag, err := b.holding(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return ctx, nil, err
	case now.Holder != "" && age < b.lease:
		return ctx, nil, fault.New(fault.Conflict, "another backup to %s is under way: %s, last heard of %s ago", b, fault.Clip(now.By), age.Round(time.Second)).
			WithHint("wait until it has ended; if it was killed, its lock counts no more from %s after it was last heard of", b.lease)
	}
	l.etag = etag
	if err := l.write(ctx); errors.Is(err, errTaken) {
		return ctx, nil, fault.New(fault.Conflict, "another backup to %s has just begun", b).WithHint("wait until it has ended")
	} else if err != nil {
		return ctx, nil, err
	}
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx)) // it is close that ends it: what is under way when ctx ends has to end first
	l.stop = stop
	held, lost := context.WithCancelCause(ctx)
	go func() { // close waits for it
		defer close(l.done)
		defer lost(nil)
		l.renew(keeping, lost)
	}()
	return held, l, nil
}

// holding reads the lock, and says how long ago that was written.
func (b *bucket) holding(ctx context.Context) (h holding, age time.Duration, etag string, err error) {
	body, info, header, err := b.get(ctx, lockFile, 0, "")
	if err != nil {
		return h, 0, "", err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, 64<<10))
	if err != nil {
		return h, 0, "", b.refused("read "+lockFile, err)
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	if err != nil || info.LastModified.IsZero() {
		return h, 0, "", fault.New(fault.Invalid, "%s/%s is no lock of dalamb, or came without a date", b, lockFile).WithHint("when no backup is under way, remove it")
	}
	return h, max(0, now.Sub(info.LastModified)), info.ETag, nil
}

// write puts the lock where the one that was last seen is there still, or where none was and none is. errTaken = it is not.
func (l *lease) write(ctx context.Context) error {
	text, err := json.Marshal(l.mine)
	if err != nil {
		return fmt.Errorf("encode a lock: %w", err)
	}
	etag, err := l.at.put(ctx, lockFile, text, l.etag)
	if errors.Is(err, errTaken) {
		// The store may have taken this one, or the one before, at a try of which the answer was lost.
		if there, _, seen, readErr := l.at.holding(ctx); readErr == nil && there.Holder == l.id {
			etag, err = l.at.put(ctx, lockFile, text, seen)
		}
	}
	if err != nil {
		return err
	}
	l.etag, l.last = etag, time.Now().Round(0) // by the wall clock, which goes on while a machine sleeps
	return nil
}

// renew keeps the lock until ctx ends, and answers who asks.
func (l *lease) renew(ctx context.Context, lost context.CancelCauseFunc) {
	every := l.at.lease / 4
	tick := time.NewTicker(every)
	defer tick.Stop()
	var gone error
	again := func() error {
		if gone != nil {
			return gone
		}
		l.mine.Renewed++
		err := l.write(ctx)
		if errors.Is(err, errTaken) {
			gone = fault.New(fault.Conflict, "another backup has taken %s over, since nothing was heard of this one for %s", l.at, l.at.lease).
				WithHint("see why this one was so slow, and take another")
			lost(gone)
			return gone
		}
		return err // it may go well the next time, and who depends on it asks
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = again()
		case q := <-l.ask:
			err := gone
			if q.now || time.Now().Round(0).Sub(l.last) >= every {
				err = again()
			}
			q.answer <- err
		}
	}
}

// held says whether the place is this writer's still, and was all the time.
func (l *lease) held(ctx context.Context, now bool) error {
	q := question{now, make(chan error, 1)}
	select {
	case l.ask <- q:
		return <-q.answer
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close gives the place free.
func (l *lease) close(ctx context.Context) error {
	l.stop()
	<-l.done
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l.mine = holding{By: l.mine.By}
	if err := l.write(ctx); err != nil && !errors.Is(err, errTaken) { // who has taken it has been told of
		return fmt.Errorf("free the lock: %w", err)
	}
	return nil
}

// put writes a small object: where etag is "" only if there is none, and else only if it is that one. errTaken = it is not so.
func (b *bucket) put(ctx context.Context, name string, text []byte, etag string) (written string, err error) {
	o := minio.PutObjectOptions{SendContentMd5: true, DisableMultipart: true}
	if etag == "" {
		o.SetMatchETagExcept("*")
	} else {
		o.SetMatchETag(etag)
	}
	info, err := b.store.Client.PutObject(ctx, b.name, b.key(name), bytes.NewReader(text), int64(len(text)), o)
	var no minio.ErrorResponse
	switch {
	case errors.As(err, &no) && (no.Code == minio.PreconditionFailed || no.Code == "ConditionalRequestConflict"):
		return "", errTaken
	case errors.As(err, &no) && no.Code == minio.NoSuchKey: // If-Match, and the object is gone
		return "", errTaken
	case err != nil:
		return "", b.refused("write "+name, err)
	}
	return info.ETag, nil
}
