//go:build race

package app_test

// shadow is how many times the memory the race detector takes at most. go.dev/doc/articles/race_detector, Runtime Overheads: 5 to 10.
const shadow = 5
