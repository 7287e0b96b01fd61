package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dalamb/dalamb/internal/function"
)

// mostChecks run at a time.
const mostChecks = 64

// verdict is what a check says of the instance of a registration.
type verdict struct {
	of     key
	id     string
	reason string // why it is not healthy; "" = it is
}

// checks runs the checks of all instances that have one, each on a goroutine of its own. Keep's goroutine alone uses it.
type checks struct {
	probe    func(context.Context, *function.Registration) error
	room     *semaphore.Weighted
	work     sync.WaitGroup
	running  map[string]context.CancelFunc // by the registration's id
	verdicts chan verdict
}

func newChecks(probe func(context.Context, *function.Registration) error) *checks {
	return &checks{probe: probe, room: semaphore.NewWeighted(mostChecks), running: map[string]context.CancelFunc{}, verdicts: make(chan verdict)}
}

func (c *checks) stop() {
	for _, cancel := range c.running {
		cancel()
	}
	c.work.Wait()
}

// follow begins the checks of new instances, and ends those of others.
func (c *checks) follow(ctx context.Context, v *View) {
	wanted := map[string]bool{}
	for _, s := range v.Services() {
		for at := range s.Instances {
			i := s.Instances[at]
			if i.Check == nil {
				continue
			}
			wanted[i.ID] = true
			if c.running[i.ID] != nil {
				continue
			}
			ctx, cancel := context.WithCancel(ctx)
			c.running[i.ID] = cancel
			c.work.Go(func() { c.run(ctx, &i) })
		}
	}
	for id, cancel := range c.running {
		if !wanted[id] {
			cancel()
			delete(c.running, id)
		}
	}
}

// run checks an instance until ctx is done. Each verdict is told: whether it is news the keeper knows. One that was never well is not given the time that
// others have to become so again.
func (c *checks) run(ctx context.Context, i *function.ServiceInstance) {
	tick := time.NewTicker(i.Check.Every.Std())
	defer tick.Stop()
	well := i.Healthy
	for failed := 0; ; {
		err := c.once(ctx, &i.Registration)
		if ctx.Err() != nil {
			return
		}
		v := verdict{of: key{i.Service, i.Instance}, id: i.ID}
		if err == nil {
			failed, well = 0, true
		} else {
			failed++
			v.reason = err.Error()
		}
		if err == nil || !well || failed >= i.Check.Failures {
			select {
			case c.verdicts <- v:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c *checks) once(ctx context.Context, r *function.Registration) error {
	if err := c.room.Acquire(ctx, 1); err != nil {
		return err
	}
	defer c.room.Release(1)
	ctx, cancel := context.WithTimeout(ctx, r.Check.Timeout.Std())
	defer cancel()
	return c.probe(ctx, r)
}

// prober checks instances as their registrations say.
type prober struct{ client *http.Client }

// newProber follows no redirect and takes no proxy: the instance itself is asked, and nobody else.
func newProber() *prober {
	return &prober{client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// probe's error has no port of the node and no time in it, so that the same failure reads the same.
func (p *prober) probe(ctx context.Context, r *function.Registration) error {
	if r.Check.Path == "" {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", r.Address)
		if err != nil {
			return plainly(ctx, err)
		}
		return c.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Address+r.Check.Path, nil)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("User-Agent", "dalamb")
	res, err := p.client.Do(req)
	if err != nil {
		return plainly(ctx, err)
	}
	res.Body.Close() // what it says beside the status is not read
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("%s answered %d", r.Check.Path, res.StatusCode)
	}
	return nil
}

func plainly(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("it did not answer in time")
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	if o := (*net.OpError)(nil); errors.As(err, &o) {
		err = o.Err
	}
	return err
}
