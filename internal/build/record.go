package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// record is what is kept of a build that succeeded, beside its log.
type record struct {
	Function string          `json:"function"`
	Code     string          `json:"code"`
	Built    *function.Built `json:"built"`
}

var validID = regexp.MustCompile(`^[a-z2-7]{26}$`) // as rand.Text makes them

func (b *Builds) logFile(id string) string    { return filepath.Join(b.records(), id+".log") }
func (b *Builds) recordFile(id string) string { return filepath.Join(b.records(), id+".json") }

// record writes one, so that it is there whole or not at all.
func (b *Builds) record(r *record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the record of a build: %w", err)
	}
	if err := durable.Replace(b.recordFile(r.Built.ID), text); err != nil {
		return fmt.Errorf("keep the record of a build: %w", err)
	}
	return nil
}

// Built says how the code of a digest was made by a build of this node. NotFound: this node knows no such build that succeeded.
func (b *Builds) Built(id, code string) (*function.Built, error) {
	if !validID.MatchString(id) {
		return nil, noBuild(id)
	}
	text, err := os.ReadFile(b.recordFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBuild(id)
	}
	if err != nil {
		return nil, fmt.Errorf("read the record of a build: %w", err)
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil || r.Built == nil {
		return nil, fmt.Errorf("the record of build %s is damaged: %w", id, err)
	}
	if r.Code != code {
		return nil, fault.New(fault.Invalid, "build %s made %s, not %s", id, r.Code, fault.Clip(code)).WithHint("build again")
	}
	if err := b.verify(code, r.Built); err != nil {
		return nil, fault.New(fault.Denied, "what is kept of build %s is not trusted: %w", id, err).WithHint("build again")
	}
	return r.Built, nil
}

func noBuild(id string) error {
	return fault.New(fault.NotFound, "this node knows no build %q", fault.Clip(id)).
		WithHint("logs are kept on the node that built, for as long as the version is there; those of builds that failed for a week")
}

// Log opens the log of a build; the caller closes it. NotFound as for Built.
func (b *Builds) Log(id string) (*os.File, error) {
	if !validID.MatchString(id) {
		return nil, noBuild(id)
	}
	f, err := os.Open(b.logFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBuild(id)
	}
	if err != nil {
		return nil, fmt.Errorf("read the log of a build: %w", err)
	}
	return f, nil
}

const (
	keepLogs  = 7 * 24 * time.Hour  // of builds that made no version
	keepCache = 30 * 24 * time.Hour // of a scope that builds nothing
)

// Tidy removes logs that no version has any longer, and what is kept for scopes that build nothing any longer or keep too much. used says whether
// a version was made by a build.
func (b *Builds) Tidy(ctx context.Context, used func(id string) bool) error {
	list, err := os.ReadDir(b.records())
	if err != nil {
		return fmt.Errorf("list builds: %w", err)
	}
	for _, de := range list {
		id, _, _ := strings.Cut(de.Name(), ".")
		if info, err := de.Info(); err != nil || used(id) || b.now().Sub(info.ModTime()) < keepLogs {
			continue // gone meanwhile, or needed
		}
		if err := os.Remove(filepath.Join(b.records(), de.Name())); err != nil {
			return fmt.Errorf("remove the log of a build: %w", err)
		}
	}
	if list, err = os.ReadDir(b.cacheDir()); err != nil {
		return fmt.Errorf("list what builds keep: %w", err)
	}
	for _, de := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.tidyCache(de); err != nil {
			return err
		}
	}
	return nil
}

// tidyCache removes what a scope keeps, unless it is in use.
func (b *Builds) tidyCache(de fs.DirEntry) error {
	dir := filepath.Join(b.cacheDir(), de.Name())
	info, err := de.Info()
	if err != nil {
		return fmt.Errorf("look at what builds keep: %w", err)
	}
	_, err = measure(dir, b.limits.Cache)
	tooMuch := errors.Is(err, errDisk) || errors.Is(err, errDeep)
	if err != nil && !tooMuch {
		return err
	}
	if !tooMuch && b.now().Sub(info.ModTime()) < keepCache {
		return nil
	}
	gone := filepath.Join(b.work(), "gone-"+de.Name())
	b.mu.Lock()
	busy := b.caches[de.Name()] > 0
	if !busy {
		err = os.Rename(dir, gone) // at once, so that no build begins in between
	}
	b.mu.Unlock()
	if busy || err != nil {
		return err
	}
	return removeTree(gone)
}
