// Package replay compares the runs of a replay with the original ones, keeps the report while it grows, and ends the replay when all
// of it has run. It does not run anything: dispatch does, in lanes of the replay's own. Compare is its comparison for anybody who has two answers
// to one input.
package replay
