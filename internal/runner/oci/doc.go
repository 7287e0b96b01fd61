// Package oci runs functions in sandboxes that an OCI runtime has a part in, told by its command line. crun and runc make the namespaces
// (create, start, delete); this package is native's Maker then. runsc and kata-runtime make a kernel for each function (run) within
// namespaces that native has made; this package says how they are told to, and native does the rest. In both cases the root, the fence, how the
// node speaks with the function, and the limits are the native runner's, and so is what a function sees, and what it cannot do.
package oci
