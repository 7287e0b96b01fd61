package native

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
)

const (
	// rangeSize is how many users and groups a sandbox knows: as many as an image may speak of.
	rangeSize = 65536
	// blockRanges is how many ranges a node takes at a time from those of the machine.
	blockRanges = 64
)

// IDs are the user and group ids of the host that a node which is root may give to its sandboxes.
type IDs struct{ First, Count int64 }

// DefaultIDs lie where nobody assigns users: above all that systemd and directory services give out, below the sign bit.
// What lies above them up to the sign bit is left for the owners of files in images that systemd keeps.
// systemd.io/UIDS-GIDS
func DefaultIDs() IDs { return IDs{First: 0x70000000, Count: 0x0f000000} }

// ranges leases ranges of ids, each to one sandbox for as long as anything of it lives: not even two instances of one function are
// the same user. Nodes of one machine share the ids: a node locks a block of ranges in a directory that all know, and the kernel takes
// the lock off with the node. It is in use when ids is set.
type ranges struct {
	ids  IDs
	dir  string // of the locks
	proc string // /proc

	mu     sync.Mutex
	blocks []*os.File
	tried  map[int64]bool // blocks, by their number
	free   []int64        // firsts of ranges, the longest unused first
}

func newRanges(ids IDs) *ranges {
	return &ranges{ids: ids, dir: "/run/dalamb/ids", proc: "/proc", tried: map[int64]bool{}}
}

// lease gives the first id of a range that nobody has.
func (r *ranges) lease() (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.free) == 0 {
		if err := r.claim(); err != nil {
			return 0, err
		}
	}
	first := r.free[0]
	r.free = r.free[1:]
	return first, nil
}

// release gives a range back whose sandbox is gone.
func (r *ranges) release(first int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = append(r.free, first)
}

// claim locks a block that no other node has and no process is left of.
func (r *ranges) claim() error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fault.New(fault.Unavailable, "share user ids with the other nodes of this machine: %w", err).WithHint("make %s a directory that root can write to", r.dir)
	}
	for block := range r.ids.Count / (blockRanges * rangeSize) {
		first := r.ids.First + block*blockRanges*rangeSize
		if r.tried[block] || r.inUse(first) {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(r.dir, strconv.FormatInt(first, 10)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return fault.New(fault.Unavailable, "share user ids with the other nodes of this machine: %w", err)
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			lock.Close()
			continue // another node's
		}
		r.blocks, r.tried[block] = append(r.blocks, lock), true
		for i := range int64(blockRanges) {
			r.free = append(r.free, first+i*rangeSize)
		}
		return nil
	}
	return fault.New(fault.Exhausted, "all user ids for sandboxes are in use, %d ranges", r.ids.Count/rangeSize).
		WithHint("give this machine's nodes more with the setting sandbox.ids, or fewer instances with limits.instances")
}

// inUse says whether a process has an id of the block that begins at first: of a node that was killed a moment ago.
func (r *ranges) inUse(first int64) bool {
	entries, _ := os.ReadDir(r.proc) // none can be seen: the lock alone decides
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		info, err := e.Info()
		if err != nil || !info.IsDir() {
			return false
		}
		st, is := info.Sys().(*syscall.Stat_t)
		return is && int64(st.Uid) >= first && int64(st.Uid) < first+blockRanges*rangeSize
	})
}

// close gives all back.
func (r *ranges) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, lock := range r.blocks {
		lock.Close()
	}
	r.blocks, r.free = nil, nil
}

// usable says why the ids cannot be given to sandboxes on this machine: somebody else's, or not known to the user namespace that this
// node is in.
func (i IDs) usable(etc, idMap string) error {
	for _, file := range []string{"passwd", "group", "subuid", "subgid"} {
		b, err := os.ReadFile(filepath.Join(etc, file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("see whose user ids are whose: %w", err)
		}
		for line := range strings.Lines(string(b)) {
			if first, count, ok := ownIDs(file, strings.TrimSpace(line)); ok && first < i.First+i.Count && first+count > i.First {
				return fault.New(fault.Conflict, "the ids %s for sandboxes are partly others': /etc/%s has %q", i, file, strings.TrimSpace(line)).
					WithHint("choose ids that nobody has with the setting sandbox.ids")
			}
		}
	}
	for line := range strings.Lines(idMap) { // inside, outside, count // user_namespaces(7)
		var from, to, count int64
		if n, _ := fmt.Sscan(line, &from, &to, &count); n == 3 && from <= i.First && i.First+i.Count <= from+count {
			return nil
		}
	}
	return fault.New(fault.Unavailable, "the ids %s for sandboxes are not known in the container that this node runs in", i).
		WithHint("choose ids that /proc/self/uid_map has with the setting sandbox.ids")
}

// ownIDs reads who has which ids from a line of one of the files. // passwd(5), group(5), subuid(5)
func ownIDs(file, line string) (first, count int64, ok bool) {
	f := strings.Split(line, ":")
	if len(f) < 3 {
		return 0, 0, false
	}
	text, number := f[2], "1"
	if strings.HasPrefix(file, "sub") {
		text, number = f[1], f[2]
	}
	first, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	count, err = strconv.ParseInt(number, 10, 64)
	return first, count, err == nil
}

// String is as in the configuration.
func (i IDs) String() string { return fmt.Sprintf("%d:%d", i.First, i.Count) }

// findIDs decides whether sandboxes get ranges. Ids that are others' are a mistake in the configuration; a container that does not know
// them is a property of the machine, and sandboxes then share two ids.
func (r *Runner) findIDs(ids IDs) error {
	if ids == (IDs{}) {
		ids = DefaultIDs()
	}
	idMap, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return fmt.Errorf("see which user ids there are: %w", err)
	}
	err = ids.usable("/etc", string(idMap))
	switch {
	case err == nil:
		r.ranges = newRanges(ids)
	case fault.KindOf(err) == fault.Unavailable:
		r.noIDs = err
	default:
		return err
	}
	return nil
}
