package inside

// Task is what a sandbox is told to be.
type Task struct {
	Function  string // the host name
	Base      string // "host" or "scratch"; "" with layers
	CodeDir   string // path on the host; "" = none
	CodeMount bool   // the code comes as a mount of the node's instead
	Command   []string
	Env       []string
	Tmp       int64
	PIDs      int64  // limit by RLIMIT_NPROC; 0 = none
	Files     int64  // limit of open ones; 0 = none
	Listen    int64  // port on loopback; 0 = none
	Resolv    string // content of /etc/resolv.conf; "" = none
	Filter    string // seccomp program: struct sock_filter, one after another
	Switch    bool   // the command's user is not the init's own

	Layers      []string // directories on the host, the lowest first
	LayerMounts bool     // they come as mounts of the node's instead
	WorkDir     string   // where the command runs
	UID, GID    int64    // of the command
	Groups      []int64  // beside GID

	MountDirs, MountPlaces []string // directories on the host, and where they are seen
	MountWritable          []int64  // of each: whether it may be written to
	MountsGiven            bool     // they come as mounts of the node's instead

	Nested int64 // ids that the command, root of namespaces of its own, has there; 0 = it has none of its own

	Hold bool // the command waits for Begin

	Egress      bool // a way out of the network namespace, by a device that the node reads and writes
	EgressGiven bool // the device was opened by the node; else by the init

	Calls []string // names of hosts that lead to a listener of the node's

	SecretNames, SecretTexts []string // files in secretsDir

	Runtime []string // the command of a relay's runtime; none = the function's kernel is the host's
	Bundle  string   // config.json of its container
}

// Pack gives the fields in a frame's form.
func (t *Task) Pack() *Packer {
	return new(Packer).Text(t.Function).Text(t.Base).Text(t.CodeDir).Number(flag(t.CodeMount)).
		Texts(t.Command).Texts(t.Env).Number(t.Tmp).Number(t.PIDs).Number(t.Files).Number(t.Listen).
		Text(t.Resolv).Text(t.Filter).Number(flag(t.Switch)).
		Texts(t.Layers).Number(flag(t.LayerMounts)).Text(t.WorkDir).Number(t.UID).Number(t.GID).Numbers(t.Groups).
		Number(flag(t.Hold)).Number(flag(t.Egress)).Number(flag(t.EgressGiven)).
		Texts(t.SecretNames).Texts(t.SecretTexts).
		Texts(t.Runtime).Text(t.Bundle).
		Texts(t.MountDirs).Texts(t.MountPlaces).Numbers(t.MountWritable).Number(flag(t.MountsGiven)).Number(t.Nested).
		Texts(t.Calls)
}

func unpackTask(u *Unpacker) *Task {
	return &Task{
		Function: u.Text(), Base: u.Text(), CodeDir: u.Text(), CodeMount: u.Number() != 0,
		Command: u.Texts(), Env: u.Texts(), Tmp: u.Number(), PIDs: u.Number(), Files: u.Number(), Listen: u.Number(),
		Resolv: u.Text(), Filter: u.Text(), Switch: u.Number() != 0,
		Layers: u.Texts(), LayerMounts: u.Number() != 0, WorkDir: u.Text(), UID: u.Number(), GID: u.Number(), Groups: u.Numbers(),
		Hold: u.Number() != 0, Egress: u.Number() != 0, EgressGiven: u.Number() != 0,
		SecretNames: u.Texts(), SecretTexts: u.Texts(),
		Runtime: u.Texts(), Bundle: u.Text(),
		MountDirs: u.Texts(), MountPlaces: u.Texts(), MountWritable: u.Numbers(), MountsGiven: u.Number() != 0,
		Nested: u.Number(),
		Calls:  u.Texts(),
	}
}

// prepared says whether the function's root is the one that the init has made already.
func (t *Task) prepared() bool { return t.Base == "host" }

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
