// Package backup copies a node's data directory to another directory or to a bucket, again and again, and makes a data directory of such a copy. It does
// not know what is in the files, and makes nothing hold still: who calls Take sees to that.
//
// # The place of backups
//
// is the same in both. In a bucket these are names of objects, behind a prefix.
//
//	FORMAT      which format this is; read before anything else is touched
//	lock        held by who writes here: flock(2) of a file, and in a bucket what lease.go says
//	content/    what was in files, compressed, by the SHA-256 of it: once, however many backups have it
//	backups/    one list of files for each backup, written last: what has no list is no backup
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Options of Take.
type Options struct {
	To      Place  // made when it is not there; a bucket has to be there
	Data    string // the data directory
	Log     string // where the log is to be taken from, in the place of Data's log; "" = the log is elsewhere, and not in the backup
	Version string // of this binary
	Key     string // the file with the key of secrets; "" = it is not in the backup
	Now     func() time.Time
}

// Taken says what Take did.
type Taken struct {
	Manifest Manifest
	New      int64 // bytes that were added to the place
	Damaged  error // why the list of the backup before could not be read, so that every file was read anew; nil = it could
}

// quickly is how much older than a backup a file must have been for a later one to believe its time: within one tick of a
// file system's clock a file can change twice.
const quickly = 2 * time.Second

// Take makes a backup. What an earlier one has is not stored again. Until it returns without an error there is no new backup, and those
// that were there are as they were.
func Take(ctx context.Context, o Options) (out Taken, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, s, err := open(ctx, o.To, true)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(because(ctx, err), s.close(ctx)) }()
	ids, err := s.ids(ctx)
	if err == nil {
		err = s.learn(ctx)
	}
	if err != nil {
		return out, err
	}
	before := map[string]File{}
	m := Manifest{Taken: o.Now().UTC(), Version: o.Version, Log: o.Log != ""}
	m.ID = idOf(m.Taken)
	if len(ids) > 0 {
		newest := ids[len(ids)-1]
		if m.ID <= newest { // the clock was put back, or the last one was a moment ago
			m.ID = after(newest)
		}
		last, err := s.manifest(ctx, newest)
		if away(err) {
			return out, err
		}
		if out.Damaged = err; err != nil {
			last.Files = nil // what is stored is known by its digest all the same
		}
		for _, f := range last.Files {
			if f.Digest != "" && f.Modified.Before(last.Taken.Add(-quickly)) {
				before[f.Path] = f
			}
		}
	}
	err = walk(o, func(name, path string, info fs.FileInfo) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		f, err := s.add(ctx, name, path, info, before[name])
		if errors.Is(err, errGone) {
			return nil // it was there for a moment only
		}
		if err == nil {
			m.Files = append(m.Files, f)
			m.Key = m.Key || name == keyFile
		}
		return err
	})
	if err == nil {
		err = s.finish(ctx, &m)
	}
	if err != nil {
		return out, fmt.Errorf("back up %s: %w", o.Data, err)
	}
	out.Manifest, out.New = m, s.added
	return out, nil
}

// because is why a context has ended, where an error says no more than that it has.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// List returns the backups at a place, the oldest first.
func List(ctx context.Context, at Place) (all []Manifest, err error) {
	ctx, s, err := open(ctx, at, false)
	if err != nil {
		return nil, err
	}
	ids, err := s.ids(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		m, err := s.manifest(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Keep removes all backups but the newest n, at least one, and what none of those has. It returns the ids of what it removed.
func Keep(ctx context.Context, at Place, n int) (removed []string, err error) {
	if n < 1 {
		return nil, fault.New(fault.Invalid, "of backups at least one is kept, and not %d", n)
	}
	ctx, s, err := open(ctx, at, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(because(ctx, err), s.close(ctx)) }()
	ids, err := s.ids(ctx)
	if err != nil || len(ids) <= n {
		return nil, err
	}
	// What is kept is read first: where a list is damaged, nobody knows what it needs.
	needed := map[string]bool{}
	for _, id := range ids[len(ids)-n:] {
		m, err := s.manifest(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, f := range m.Files {
			needed[f.Digest] = true
		}
	}
	for _, id := range ids[:len(ids)-n] {
		if err := s.forget(ctx, id); err != nil {
			return removed, err
		}
		removed = append(removed, id)
	}
	return removed, s.sweep(ctx, needed)
}

// Damage is what is wrong with a backup.
type Damage struct {
	ID   string
	Path string // of the file in the data directory; "" = the list of files itself
	Err  error
}

// Verify reads everything that a backup has, or that all have where id is "", and returns how many backups that were and what is not as it was stored.
func Verify(ctx context.Context, at Place, id string) (checked int, bad []Damage, err error) {
	ctx, s, err := open(ctx, at, false)
	if err != nil {
		return 0, nil, err
	}
	ids, err := s.chosen(ctx, id)
	if err != nil {
		return 0, nil, err
	}
	known := map[string]error{}
	for _, id := range ids {
		m, err := s.manifest(ctx, id)
		if away(err) {
			return 0, nil, err
		}
		if err != nil {
			bad = append(bad, Damage{ID: id, Err: err})
			continue
		}
		for _, f := range m.Files {
			if f.Digest == "" {
				continue
			}
			err, seen := known[f.Digest]
			if !seen {
				if err := context.Cause(ctx); err != nil {
					return 0, nil, err
				}
				err = s.check(ctx, f)
				if away(err) {
					return 0, nil, fmt.Errorf("read backup %s: %s: %w", id, f.Path, err)
				}
				known[f.Digest] = err
			}
			if err != nil {
				bad = append(bad, Damage{ID: id, Path: f.Path, Err: err})
			}
		}
	}
	return len(ids), bad, nil
}

// sweep removes content that is not needed.
func (s *store) sweep(ctx context.Context, needed map[string]bool) error {
	for name, err := range s.at.names(ctx, contentDir) {
		if err != nil {
			return fmt.Errorf("look for what no backup needs: %w", err)
		}
		if needed[path.Base(name)] {
			continue
		}
		if err := s.writer.remove(ctx, contentDir+"/"+name); err != nil {
			return fmt.Errorf("remove what no backup needs: %w", err)
		}
	}
	return nil
}

// chosen are the ids of all backups, or the one that is named.
func (s *store) chosen(ctx context.Context, id string) ([]string, error) {
	ids, err := s.ids(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case len(ids) == 0:
		return nil, fault.New(fault.NotFound, "there is no whole backup in %s", s.at).WithHint("dalamb backup --to %s takes one", s.at)
	case id == "":
		return ids, nil
	case !slices.Contains(ids, id):
		return nil, fault.New(fault.NotFound, "there is no backup %q in %s", fault.Clip(id), s.at).WithHint("dalamb backup ls --to %s lists them", s.at)
	}
	return []string{id}, nil
}
