// Package certificate owns what listeners show of who they are by TLS, and which clients they know by it: key pairs in files, a certificate
// authority made for one installation, and certificates by ACME (RFC 8555). It does not listen, and who may call what is for others to say.
//
// Key pairs and authorities in files are read again when the files change, so that a certificate is renewed under a node that runs. A file that is
// bad by then changes nothing: what was read before holds, and the log says so.
package certificate
