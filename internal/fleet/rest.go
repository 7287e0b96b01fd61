package fleet

import (
	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
)

// rests says whether an instance is busy for longer than until its answer, which the caller gets without waiting for that. It is then
// taken back when it has finished.
func (f *Fleet) rests(i *instance, r *function.Result, err error) bool {
	conn, ok := i.conn.(entry.Rester)
	if !ok || err != nil || r.Outcome != function.Succeeded && r.Outcome != function.Failed || !conn.Rests() {
		return false
	}
	ended := &function.Result{Outcome: r.Outcome} // the result itself is the caller's
	f.lives.Go(func() {
		conn.Rest()
		f.release(i, ended, nil)
	})
	return true
}
