package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/fault"
)

// holder is who has the directory. It stays behind when its process is killed; the lock does not.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

func (h holder) String() string {
	return fmt.Sprintf("process %d on %s since %s", h.PID, h.Host, h.Since.Format(time.RFC3339))
}

// lockDir takes the directory for this process, or names the one that has it.
func lockDir(fs vfs.FS, dir string, now time.Time) (io.Closer, error) {
	lock, err := fs.Lock(fs.PathJoin(dir, "lock"))
	if err != nil {
		return nil, lockFault(fs, dir, err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	me, err := json.Marshal(holder{PID: os.Getpid(), Host: host, Since: now.UTC().Truncate(time.Second)})
	if err == nil {
		err = writeFile(fs, dir, "holder", string(me)+"\n")
	}
	if err != nil {
		return nil, errors.Join(unusable(dir, err), lock.Close())
	}
	return lock, nil
}

func lockFault(fs vfs.FS, dir string, err error) error {
	// Another descriptor of this very process is told apart by its text alone: the lock table of vfs has no error value.
	if !isHeld(err) && err.Error() != "lock held by current process" {
		return unusable(dir, err)
	}
	who := "another process"
	if text, rerr := readFile(fs, fs.PathJoin(dir, "holder")); rerr == nil {
		var h holder
		if json.Unmarshal(text, &h) == nil && h.PID != 0 {
			who = h.String()
		}
	}
	return fault.New(fault.Conflict, "data directory %s is in use by %s", dir, who).
		WithHint("stop that node, or give this one a directory of its own")
}
