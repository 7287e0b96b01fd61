package codeshare

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

func TestWhatCouldNotBeBroughtIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan struct{})
		wanted := func() ([]*function.Version, <-chan struct{}) {
			versions := []*function.Version{{Number: 1}, {Number: 2}}
			select {
			case <-first:
				return versions, nil
			default:
				return versions, first
			}
		}
		tries := map[int]int{}
		ended := make(chan error, 1)
		go func() {
			ended <- Follow(ctx, wanted, func(v *function.Version) bool {
				tries[v.Number]++
				return v.Number == 1 || tries[2] >= 3
			})
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if tries[1] != 3 || tries[2] != 3 {
			t.Errorf("tries in a minute = %v, want 3 of each: the third brought them all", tries)
		}
		close(first)
		synctest.Wait()
		if tries[1] != 4 || tries[2] != 4 {
			t.Errorf("tries after a change = %v, want 4 of each", tries)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Follow: %v", err)
		}
	})
}
