package native

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// Maker makes the namespaces of sandboxes in the place of the zygote: some other program that can. All else of a sandbox stays as it
// is: the init in it builds the root and puts up the fence, and cgroups are this runner's. It is for nodes that are root.
type Maker interface {
	// Make starts this program as the first process of new namespaces, of the users that n says, with n.Env as its environment
	// and sock as its descriptor inside.Socket, and returns its pid. The name is unlike all others'. An error leaves nothing behind.
	Make(name string, n *inside.Nest, sock *os.File) (pid int, err error)
	// Remove frees what is left of one whose processes are gone.
	Remove(name string) error
	// Recover ends and frees all that an earlier node left; ours says which names are this one's.
	Recover(ctx context.Context, ours func(name string) bool) error
	// Outside are the directories that it makes outside of the state directory, below /run, with names that begin with dalamb-.
	Outside() []string
	// Close frees what is left when all have been removed.
	Close() error
}

// makeInit makes the namespaces and the init of a nest, in its group.
func (r *Runner) makeInit(name string, k kind, n *nest, sock *os.File) (pid int, pidfd *os.File, err error) {
	if r.maker == nil {
		return r.zygote.make(&inside.Nest{OwnNet: k.ownNet, IDs: k.ids, Relay: r.kernel != nil, Nested: k.nested}, n.group, sock)
	}
	pid, err = r.maker.Make(name, &inside.Nest{OwnNet: k.ownNet, IDs: k.ids, Nested: k.nested}, sock)
	if err != nil {
		return 0, nil, err
	}
	free := n.free
	n.free = func() {
		if err := r.maker.Remove(name); err != nil {
			r.log.Warn("sandbox not removed by its maker", "err", err)
		}
		free()
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("open init %d: %w", pid, err)
	}
	return pid, os.NewFile(uintptr(fd), "pidfd"), n.group.join(pid)
}
