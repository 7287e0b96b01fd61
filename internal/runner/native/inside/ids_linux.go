package inside

import (
	"syscall"
	"unsafe"
)

// Users of a sandbox as the host sees them, when the node is root and has no range of ids for it: nobody's, no file of the host is
// theirs.
const (
	hostInit     = 65533
	hostFunction = 65534
)

// rangeSize is how many ids a range has.
const rangeSize = 65536

// IDs are the user and the group of a command, as its sandbox sees them.
type IDs struct {
	UID, GID int64
	First    int64 // of the host's, which the sandbox's 0 is, with as many after it as an image may speak of; 0 = no range
}

// OnHost is who a command is outside of its sandbox, when the node is root.
func (i IDs) OnHost() (uid, gid int) {
	if i.First == 0 {
		return hostFunction, hostFunction
	}
	return int(i.First + i.UID), int(i.First + i.GID)
}

// FunctionID is the user and the group of a command that asks for no others.
const FunctionID = 1000

const initUser = 0

// Ambient capabilities that an ordinary user's init needs. // capabilities(7)
const (
	capDacOverride    = 1
	capSetPCap        = 8
	capNetBindService = 10
	capNetAdmin       = 12
	capSysAdmin       = 21
	capSysResource    = 24
)

// mapTo says who the users of a sandbox are. Root on the host maps a range that is this sandbox's alone, or two ids where it has none,
// so that a function cannot even signal its init, but for one that wants to be user 0, as its init is; an ordinary user has only its
// own to map, and the function and its init share it.
func (i IDs) mapTo(a *syscall.SysProcAttr) {
	if uid := syscall.Geteuid(); uid != 0 {
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: int(i.UID), HostID: uid, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: int(i.GID), HostID: syscall.Getegid(), Size: 1}}
		// Who is not user 0 keeps capabilities over an exec only when they are ambient. // capabilities(7)
		a.AmbientCaps = []uintptr{capSysAdmin, capNetAdmin, capSetPCap, capSysResource, capDacOverride, capNetBindService}
		return
	}
	a.UidMappings, a.GidMappings = i.Maps()
	a.GidMappingsEnableSetgroups = true
	a.Credential = &syscall.Credential{Uid: initUser, Gid: initUser}
}

// Maps are who the users and groups of a sandbox are on the host, when the node is root.
func (i IDs) Maps() (uids, gids []syscall.SysProcIDMap) {
	if i.First == 0 {
		return withInit(i.UID), withInit(i.GID)
	}
	all := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(i.First), Size: rangeSize}}
	return all, all
}

// withInit maps a function's id and its init's.
func withInit(id int64) []syscall.SysProcIDMap {
	function := syscall.SysProcIDMap{ContainerID: int(id), HostID: hostFunction, Size: 1}
	if id == initUser {
		return []syscall.SysProcIDMap{function}
	}
	return []syscall.SysProcIDMap{{ContainerID: initUser, HostID: hostInit, Size: 1}, function}
}

// Shared says whether a command with these ids has the user of its init, on a node that is root.
func (i IDs) Shared() bool { return i.UID == initUser }

func credential(t *Task) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(t.UID), Gid: uint32(t.GID)}
	for _, g := range t.Groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	return c
}

// setGroups changes the groups of this thread, which has the command's user already.
func setGroups(t *Task) error {
	if syscall.Getegid() == int(t.GID) && len(t.Groups) == 0 {
		return nil
	}
	// This thread alone: package syscall would change all.
	groups := make([]uint32, len(t.Groups)+1)
	for i, g := range t.Groups {
		groups[i] = uint32(g)
	}
	if err := call(syscall.SYS_SETGROUPS, uintptr(len(t.Groups)), uintptr(unsafe.Pointer(&groups[0]))); err != nil {
		return err
	}
	return call(syscall.SYS_SETRESGID, uintptr(t.GID), uintptr(t.GID), uintptr(t.GID))
}
