package follow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// maxWaiting bounds the pushes that wait.
const maxWaiting = 10_000

// queue holds pushes on disk until they were acted upon: one file each, whose name says when it came.
type queue struct {
	dir  string
	more chan struct{} // a value when something was put
}

const fileSuffix = ".json"

// openQueue opens or makes the queue and removes what an interrupted put left.
func openQueue(dir string) (*queue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make room for pushes: %w", err)
	}
	if err := durable.Sweep(dir); err != nil {
		return nil, err
	}
	return &queue{dir: dir, more: make(chan struct{}, 1)}, nil
}

// put stores a push and returns when it is on disk.
func (q *queue) put(p *Push) error {
	names, err := q.names()
	if err != nil {
		return err
	}
	if len(names) >= maxWaiting {
		return fault.New(fault.Exhausted, "%d pushes wait to be told to functions; more are not taken", len(names)).WithHint("try again later; the node's log says what holds them up")
	}
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode a push: %w", err)
	}
	if err := durable.Replace(filepath.Join(q.dir, fmt.Sprintf("%020d-%s%s", p.At.UnixNano(), p.ID, fileSuffix)), b); err != nil {
		return fmt.Errorf("store a push: %w", err)
	}
	select {
	case q.more <- struct{}{}:
	default: // who waits has been told already
	}
	return nil
}

func (q *queue) names() ([]string, error) {
	list, err := os.ReadDir(q.dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("read the waiting pushes: %w", err)
	}
	var names []string
	for _, de := range list {
		if strings.HasSuffix(de.Name(), fileSuffix) {
			names = append(names, de.Name())
		}
	}
	return names, nil
}

// first is the oldest push that waits, by its name; nil when there is none.
func (q *queue) first() (name string, p *Push, err error) {
	names, err := q.names()
	if err != nil || len(names) == 0 {
		return "", nil, err
	}
	b, err := os.ReadFile(filepath.Join(q.dir, names[0]))
	if err != nil {
		return names[0], nil, fmt.Errorf("read a waiting push: %w", err)
	}
	p = &Push{}
	if err := json.Unmarshal(b, p); err != nil {
		return names[0], nil, fault.New(fault.Invalid, "the waiting push %s cannot be read: %w", names[0], err)
	}
	return names[0], p, nil
}

func (q *queue) remove(name string) error {
	if err := os.Remove(filepath.Join(q.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a push that is done: %w", err)
	}
	return nil
}
