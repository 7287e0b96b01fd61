// Package oci runs functions in sandboxes whose namespaces an OCI runtime makes (crun, runc), told by its standard command line:
// create, start, delete. What is inside of them (the root, the fence, how the node speaks with the function) and the limits are the
// native runner's, whose Maker this is; so is what a function sees, and what it cannot do.
package oci
