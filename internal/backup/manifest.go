package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Manifest is the list of what is in one backup.
type Manifest struct {
	ID      string    `json:"id"` // by time: the later, the greater
	Taken   time.Time `json:"taken"`
	Version string    `json:"version"` // of the dalamb that took it
	Log     bool      `json:"log"`     // the event log is in it; else it is on Kafka
	Key     bool      `json:"key"`     // the key of secrets is in it
	Files   []File    `json:"files"`
}

// Size is how many bytes the files hold.
func (m *Manifest) Size() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// File is an entry of a data directory.
type File struct {
	Path     string      `json:"path"` // below the data directory, with slashes
	Mode     fs.FileMode `json:"mode"` // permissions, and fs.ModeDir or fs.ModeSymlink
	Size     int64       `json:"size,omitempty"`
	Modified time.Time   `json:"modified"`
	Digest   string      `json:"digest,omitempty"` // SHA-256 of what a regular file holds, in hexadecimal
	Target   string      `json:"target,omitempty"` // of a symbolic link
}

const idForm = "20060102T150405.000Z"

func idOf(t time.Time) string { return t.UTC().Format(idForm) }

// after is the next id.
func after(id string) string {
	t, err := time.Parse(idForm, id)
	if err != nil { // ids lists only those that are times
		panic(fmt.Sprintf("backup id %q: %v", id, err))
	}
	return idOf(t.Add(time.Millisecond))
}

const listSuffix = ".json"

// maxList is the length of the longest list that is read: some million files.
const maxList = 512 << 20

// ids are those of the backups, the oldest first. What is named otherwise is not looked at.
func (s *store) ids(ctx context.Context) (ids []string, err error) {
	for name, err := range s.at.names(ctx, backupsDir) {
		if err != nil {
			return nil, fmt.Errorf("list backups: %w", err)
		}
		id, ok := strings.CutSuffix(name, listSuffix)
		if t, err := time.Parse(idForm, id); ok && err == nil && idOf(t) == id {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func listName(id string) string { return path.Join(backupsDir, id+listSuffix) }

// manifest reads the list of one backup. Its first line is the digest of the rest.
func (s *store) manifest(ctx context.Context, id string) (m Manifest, err error) {
	text, err := s.read(ctx, listName(id), maxList)
	if err != nil {
		return m, fmt.Errorf("read backup %s: %w", id, err)
	}
	digest, list, _ := bytes.Cut(text, []byte("\n"))
	if string(digest) != sum(list) {
		return m, fault.New(fault.Invalid, "the list of backup %s in %s is damaged: it is not what its digest says", id, s.at).
			WithHint("nothing can be restored from it: move %s/%s away, and use another backup", s.at, listName(id))
	}
	if err := json.Unmarshal(list, &m); err != nil {
		return m, fmt.Errorf("read backup %s: %w", id, err)
	}
	for _, f := range m.Files {
		if raw, err := hex.DecodeString(f.Digest); err != nil || len(raw) != 0 && len(raw) != sha256.Size || f.Mode.IsRegular() != (len(raw) != 0) {
			return m, fault.New(fault.Invalid, "backup %s in %s: %s has %q, which is no digest of a file", id, s.at, f.Path, fault.Clip(f.Digest))
		}
	}
	return m, nil
}

// finish makes a backup of what was added.
func (s *store) finish(ctx context.Context, m *Manifest) error {
	list, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode the list of a backup: %w", err)
	}
	if err := s.writer.list(ctx, listName(m.ID), append([]byte(sum(list)+"\n"), list...)); err != nil {
		return fmt.Errorf("write the list of a backup: %w", err)
	}
	return nil
}

func (s *store) forget(ctx context.Context, id string) error {
	if err := s.writer.remove(ctx, listName(id)); err != nil {
		return fmt.Errorf("remove backup %s: %w", id, err)
	}
	return nil
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
