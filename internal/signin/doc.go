// Package signin owns how a person at a browser proves who she is with an OpenID provider: the authorization code flow of OpenID Connect Core 1.0
// with PKCE (RFC 7636), and the sealed texts in which a browser keeps what it must not be able to make or to change. It answers no requests, and
// does not say who may do what.
package signin
