//go:build !race

package app_test

const shadow = 1
