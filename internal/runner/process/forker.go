package process

import (
	"os/exec"
	"runtime"
	"sync"
)

// forker starts all commands from one thread that lives as long as the runner: Linux kills a child with PDEATHSIG when the
// thread that made it ends, and a goroutine has no thread of its own. // prctl(2), PR_SET_PDEATHSIG
type forker struct {
	once sync.Once
	jobs chan func()
	done chan struct{}
}

func newForker() *forker {
	return &forker{jobs: make(chan func()), done: make(chan struct{})}
}

func (f *forker) start(cmd *exec.Cmd) error {
	f.once.Do(func() { go f.run() })
	result := make(chan error, 1)
	f.jobs <- func() { result <- cmd.Start() }
	return <-result
}

func (f *forker) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	defer close(f.done)
	for job := range f.jobs {
		job()
	}
}

// close is called when no start is under way and no command is left.
func (f *forker) close() {
	close(f.jobs)
	started := true
	f.once.Do(func() { started = false })
	if started {
		<-f.done
	}
}
