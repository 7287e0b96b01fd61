package runner

import "time"

// StopWithin is Sandbox.Stop, for the drivers: the sandbox is asked to end and has grace to do it, then it is killed. Without grace nobody asks. It returns
// when done is closed.
func StopWithin(grace time.Duration, done <-chan struct{}, ask, kill func()) {
	if grace > 0 {
		ask()
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-done:
			return
		case <-t.C:
		}
	}
	kill()
	<-done
}
