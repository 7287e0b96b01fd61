package disk

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/fault"
)

// formatVersion is what this code writes and reads. A change of any row's layout makes a new one.
const formatVersion = 1

const formatPrefix = "dalamb eventlog format "

// checkFormat refuses a directory that another format wrote. It changes nothing. fresh says that the directory holds
// no log yet.
func checkFormat(fs vfs.FS, dir string) (fresh bool, err error) {
	path := fs.PathJoin(dir, "FORMAT")
	text, err := readFile(fs, path)
	if oserror.IsNotExist(err) {
		if _, err := fs.Stat(fs.PathJoin(dir, "db")); err == nil {
			return false, fault.New(fault.Conflict, "data directory %s holds a log without a FORMAT file: it was written by an unknown format, this dalamb reads format %d",
				dir, formatVersion).WithHint("use the dalamb that wrote it, or another directory")
		}
		return true, nil
	}
	if err != nil {
		return false, unusable(dir, err)
	}
	number, ok := strings.CutPrefix(strings.TrimSpace(string(text)), formatPrefix)
	found, err := strconv.Atoi(number)
	if !ok || err != nil {
		return false, fault.New(fault.Conflict, "%s is not a log's format file: it says %q, this dalamb reads format %d", path, clip(text), formatVersion).
			WithHint("use the dalamb that wrote it, or another directory")
	}
	switch {
	case found > formatVersion:
		return false, fault.New(fault.Conflict, "data directory %s has format %d, which is newer than format %d of this dalamb", dir, found, formatVersion).
			WithHint("use a newer dalamb; nothing was changed")
	case found < formatVersion:
		return false, fault.New(fault.Conflict, "data directory %s has format %d, which is older than format %d of this dalamb", dir, found, formatVersion).
			WithHint("use the dalamb that wrote it; nothing was changed")
	}
	return false, nil
}

func clip(b []byte) string { return string(b[:min(len(b), 60)]) }

// writeFormat marks the directory. It is written before the first row, so a log without a mark cannot come to be.
func writeFormat(fs vfs.FS, dir string) error {
	return writeFile(fs, dir, "FORMAT", fmt.Sprintf("%s%d\n", formatPrefix, formatVersion))
}

// writeFile replaces a file so that a crash leaves the old or the new one.
func writeFile(fs vfs.FS, dir, name, text string) error {
	temp := fs.PathJoin(dir, name+".new")
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.Rename(temp, fs.PathJoin(dir, name))
	}
	if err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// syncDir makes the names in a directory durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// makeDir makes a directory and what is missing above it, durably: a file that is synced is still lost when the name of
// a directory above it is.
func makeDir(fs vfs.FS, dir string) error {
	var above []string
	for d := dir; ; {
		if _, err := fs.Stat(d); !oserror.IsNotExist(err) {
			break
		}
		up := fs.PathDir(d)
		if up == d {
			break
		}
		above, d = append(above, up), up
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range above {
		if err := syncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// unusable says why a directory cannot be used.
func unusable(dir string, err error) error {
	switch {
	case oserror.IsPermission(err) || isReadOnly(err):
		return fault.New(fault.Denied, "data directory %s is not writable: %w", dir, err).
			WithHint("give this user the right to write there, or choose another directory")
	case vfs.IsNoSpaceError(err):
		return fault.New(fault.Unavailable, "data directory %s: disk full: %w", dir, err).WithHint("make room on the disk")
	case os.IsExist(err) || isNotDir(err):
		return fault.New(fault.Denied, "data directory %s is not a directory: %w", dir, err).
			WithHint("choose another directory, or move the file away")
	case pebble.IsCorruptionError(err):
		return fault.New(fault.Unavailable, "the event log in %s is damaged: %w", dir, err).WithHint("%s", restoring)
	}
	return fault.New(fault.Unavailable, "data directory %s cannot be used: %w", dir, err)
}
