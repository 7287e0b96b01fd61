package inside

import (
	"sync"
	"syscall"
)

// kin are the processes that the init started itself: the command and its companions.
type kin struct {
	mu      sync.Mutex
	command int           // process group; 0 = not started yet
	others  map[int]int64 // numbers of the companions, by pid
	born    chan struct{} // of capacity 1; nil until the first is started
}

// theCommand is the number that no companion has.
const theCommand = -1

// start starts a program from this thread.
func (k *kin) start(s *sandbox, t *Task, files []int, number int64) error {
	k.mu.Lock() // who reaps shall know it
	defer k.mu.Unlock()
	pid, err := run(t, files[0], files[1], files[2])
	for _, fd := range files {
		syscall.Close(fd)
	}
	if err != nil {
		return err
	}
	if k.born == nil {
		k.born, k.others = make(chan struct{}, 1), make(map[int]int64)
		go k.reap(s)
	}
	if number == theCommand {
		k.command = pid
	} else {
		k.others[pid] = number
	}
	select {
	case k.born <- struct{}{}:
	default:
	}
	return nil
}

// signal reaches the command's process group. Gone already is what we want.
func (k *kin) signal(sig syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.command != 0 {
		_ = syscall.Kill(-k.command, sig)
	}
}

// reap collects all that dies until the command has.
func (k *kin) reap(s *sandbox) {
	for {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, 0, &usage)
		if err == syscall.ECHILD {
			<-k.born
			continue
		}
		if err != nil || !status.Exited() && !status.Signaled() {
			continue
		}
		k.mu.Lock()
		command, number, companion := k.command, int64(0), false
		if number, companion = k.others[pid]; companion {
			delete(k.others, pid)
		}
		k.mu.Unlock()
		if pid == command {
			s.ended(status, &usage)
		}
		if companion {
			s.send(Left, new(Packer).Number(number).Number(0).Number(int64(status)))
		}
	}
}

// join starts a companion: it has all that the command has, but for the words of its own command and where it prints.
func (s *sandbox) join(number int64, command []string, files []int) {
	t := *s.task
	t.Command = command
	if err := s.kin.start(s, &t, files, number); err != nil {
		errno, _ := err.(syscall.Errno)
		s.send(Left, new(Packer).Number(number).Number(int64(errno)).Number(0))
	}
}
