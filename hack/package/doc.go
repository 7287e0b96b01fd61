// Package packaging holds the tests of what is in deploy.
package packaging
