package history

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// format is the number of the index's layout (keys.go). It changes with the layout; an index of another format is built again.
const format = "4"

// formatFile stands beside the index and is written last.
const formatFile = "FORMAT"

func openIndex(dir string, logger *slog.Logger) (*pebble.DB, error) {
	marker := filepath.Join(dir, formatFile)
	found, err := os.ReadFile(marker)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read history format: %w", err)
	}
	if string(found) != format {
		if err == nil {
			logger.Info("history has another format and is built again", "found", string(found), "want", format)
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("remove old history: %w", err)
		}
	}
	db, err := openPebble(dir, logger)
	if pebble.IsCorruptionError(err) {
		logger.Warn("history is damaged and is built again", "err", err)
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("remove damaged history: %w", err)
		}
		db, err = openPebble(dir, logger)
	}
	if err != nil {
		return nil, fmt.Errorf("open history in %s: %w", dir, err)
	}
	if err := os.WriteFile(marker, []byte(format), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write history format: %w", err), db.Close())
	}
	return db, nil
}

func openPebble(dir string, logger *slog.Logger) (*pebble.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	o := &pebble.Options{
		Cache: cache, MemTableSize: 4 << 20, FormatMajorVersion: pebble.FormatNewest,
		Logger: pebbleLogger{logger},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return pebble.Open(dir, o)
}

// pebbleLogger lets Pebble's own chatter through at debug level only.
type pebbleLogger struct{ logger *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any) {
	l.logger.Debug("history index", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.logger.Error("history index", "err", fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	// Pebble calls this where it cannot go on without breaking its files; it relies on not coming back.
	l.logger.Error("history index cannot go on", "err", fmt.Sprintf(format, args...))
	panic("history index: " + fmt.Sprintf(format, args...))
}
