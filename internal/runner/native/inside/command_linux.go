package inside

import "syscall"

// run starts the task's command from this thread. The error is that of the exec: all else was tried when the runner was
// checked.
func run(t *Task, stdin, stdout, stderr int) (int, error) {
	attr := &syscall.ProcAttr{
		Dir: t.WorkDir, Env: t.Env,
		Files: []uintptr{uintptr(stdin), uintptr(stdout), uintptr(stderr)},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	switch {
	case t.Nested > 0:
		nest(t, attr.Sys)
	case t.Switch:
		attr.Sys.Credential = credential(t)
	}
	err := error(syscall.ENOENT)
	for _, path := range candidates(t.Command[0], t.Env) {
		var pid int
		pid, e := syscall.ForkExec(path, t.Command, attr)
		if e == nil {
			return pid, nil
		}
		if e != syscall.ENOENT && e != syscall.ENOTDIR {
			err = e
		}
		if e != syscall.ENOENT && e != syscall.ENOTDIR && e != syscall.EACCES {
			break
		}
	}
	return 0, err
}

// candidates are the files that the first word of a command may mean; see runner.Spec.Command.
func candidates(name string, env []string) []string {
	for i := range len(name) {
		if name[i] == '/' {
			return []string{name} // a relative one is below the working directory
		}
	}
	const key = "PATH="
	var path string
	for _, e := range env {
		if len(e) >= len(key) && e[:len(key)] == key {
			path = e[len(key):] + ":"
		}
	}
	var files []string
	begin := 0
	for i := range len(path) {
		if path[i] != ':' {
			continue
		}
		if i > begin {
			files = append(files, path[begin:i]+"/"+name)
		}
		begin = i + 1
	}
	return files
}
