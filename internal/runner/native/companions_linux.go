package native

import (
	"sync"
	"syscall"

	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
	"golang.org/x/sys/unix"
)

// Companions implements runner.Accompanied.
func (r *Runner) Companions() bool { return true }

// accompany starts the companions, each behind the same fence as the command.
func (sb *sandbox) accompany(places runner.Places, root bool) error {
	for i, c := range sb.spec.Companions {
		expanded := runner.Spec{Command: c.Command}
		command, _ := expanded.Expand(places)
		if err := sb.join(i, command, root); err != nil {
			return err
		}
	}
	return nil
}

func (sb *sandbox) join(number int, command []string, root bool) error {
	stdin, err := runner.Stdin(nil)
	if err != nil {
		return err
	}
	defer stdin.Close()
	stdout, err := sb.carry(sb.spec.Companions[number].Stdout, root)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := sb.carry(sb.spec.Companions[number].Stderr, root)
	if err != nil {
		return err
	}
	defer stderr.Close()
	sb.beside = append(sb.beside, sb.outputs[len(sb.outputs)-2:])
	frame := new(inside.Packer).Number(int64(number)).Texts(command)
	return sb.nest.send(inside.Join, frame, int(stdin.Fd()), int(stdout.Fd()), int(stderr.Fd()))
}

// holdBack lets the command begin when its time has come. What it returns ends that, and waits for it.
func (sb *sandbox) holdBack() (letGo func()) {
	if sb.spec.Hold == nil {
		return func() {}
	}
	over := make(chan struct{})
	var waits sync.WaitGroup
	waits.Go(func() {
		select {
		case <-sb.spec.Hold:
			_ = sb.nest.send(inside.Begin, nil) // an init that cannot be told is one that is ending
		case <-over:
		}
	})
	return func() {
		close(over)
		waits.Wait()
	}
}

// left passes on that a companion has ended, when what it printed has been passed on.
func (sb *sandbox) left(u *inside.Unpacker) {
	number, errno, status := u.Number(), syscall.Errno(u.Number()), syscall.WaitStatus(u.Number())
	if number < 0 || number >= int64(len(sb.beside)) {
		return // it may come from a kernel that the function has broken
	}
	c := &sb.spec.Companions[number]
	exit := exitOf(status)
	if errno != 0 {
		exit = runner.Exit{Code: -1, Start: c.Command[0] + ": " + errno.Error()}
	}
	if c.Exited == nil {
		return
	}
	sb.leaving.Go(func() {
		for _, o := range sb.beside[number] {
			o.Settle()
		}
		c.Exited(exit)
	})
}

func exitOf(status syscall.WaitStatus) runner.Exit {
	exit := runner.Exit{Code: status.ExitStatus()}
	if status.Signaled() {
		exit.Signal = unix.SignalName(status.Signal())
	}
	return exit
}

var (
	_ runner.Accompanied = (*Runner)(nil)
	_ runner.PortDialer  = (*sandbox)(nil)
)
