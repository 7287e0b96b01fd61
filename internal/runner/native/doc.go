// Package native runs each function in a sandbox of its own, made of what the Linux kernel has: namespaces, a root of its own,
// no capabilities, a seccomp filter, cgroups. It needs no other program and, but for limits, no rights.
//
// A sandbox begins as an init (package inside) that waits, bound to no function; Start gives it a task. Some are kept waiting
// so that a cold start finds one. A zygote makes them, a process so small that a clone copies next to nothing of it. The node
// holds one end of a socket to each init, and an init ends with its node: whatever kills the node closes the socket.
package native
