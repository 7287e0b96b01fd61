package runner

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStopAsksFirstAndKillsWhatStays(t *testing.T) {
	for name, c := range map[string]struct {
		grace time.Duration
		obeys time.Duration // how long after it was asked it ends; 0 = it does not
		did   string
		took  time.Duration
	}{
		"it ends when it is asked":       {time.Minute, time.Second, "asked", time.Second},
		"it does not care":               {time.Minute, 0, "asked killed", time.Minute},
		"it would end, but takes longer": {time.Minute, time.Hour, "asked killed", time.Minute},
		"without grace nobody asks":      {0, time.Second, "killed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				done, killed := make(chan struct{}), make(chan struct{})
				var did []string
				ask := func() {
					did = append(did, "asked")
					go func() {
						var ends <-chan time.Time
						if c.obeys > 0 {
							ends = time.After(c.obeys)
						}
						select {
						case <-ends:
						case <-killed:
						}
						close(done)
					}()
				}
				kill := func() {
					did = append(did, "killed")
					if c.grace == 0 {
						close(done)
					}
					close(killed)
				}
				began := time.Now()
				StopWithin(c.grace, done, ask, kill)
				if got, took := strings.Join(did, " "), time.Since(began); got != c.did || took != c.took {
					t.Errorf("it was %s, in %s; want %s, in %s", got, took, c.did, c.took)
				}
			})
		})
	}
}
