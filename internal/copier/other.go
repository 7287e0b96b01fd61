package copier

import (
	"sync"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// other is another log, opened once however many use it: a node has one name there.
type other struct {
	once sync.Once
	log  eventlog.Log
	err  error
	uses int // guarded by Copier.mu
}

// reach returns the log at an address, "" being the node's own. release gives it back.
func (c *Copier) reach(address string) (log eventlog.Log, release func(), err error) {
	if address == "" {
		return c.log, func() {}, nil
	}
	c.mu.Lock()
	o := c.open[address]
	if o == nil {
		o = &other{}
		c.open[address] = o
	}
	o.uses++
	c.mu.Unlock()
	o.once.Do(func() { o.log, o.err = c.logs.Open(address) })
	release = func() {
		c.mu.Lock()
		o.uses--
		last := o.uses == 0
		if last {
			delete(c.open, address)
		}
		c.mu.Unlock()
		if !last || o.err != nil {
			return
		}
		if err := o.log.Close(); err != nil {
			c.logger.Warn("close the log that was copied to", "log", address, "err", err)
		}
	}
	if o.err != nil {
		release()
		return nil, nil, o.err
	}
	return o.log, release, nil
}
